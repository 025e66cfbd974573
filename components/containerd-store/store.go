// SPDX-FileCopyrightText: The Constellation authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/v2/core/metadata"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/plugins/content/local"
	bolt "go.etcd.io/bbolt"
)

// Names of containerd's plug-ins are names of folders.
const (
	snapshotterName = "overlayfs"
	contentFolder   = "io.containerd.content.v1.content"
	metadataFolder  = "io.containerd.metadata.v1.bolt"
	snapshotsFolder = "io.containerd.snapshotter.v1." + snapshotterName
	namespace       = "k8s.io" // of the CRI plug-in
)

// databases says where the two databases of a store are.
type databases struct {
	names     string // of images, and what they lead to
	snapshots string // which snapshot is which folder
}

// makeStore makes a store with the images of layouts, or nothing.
func makeStore(ctx context.Context, store string, layouts []string) (err error) {
	if err := os.Mkdir(store, 0o755); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(store))
		}
	}()
	scratch, err := os.MkdirTemp("", "containerd-store-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	drafts := databases{filepath.Join(scratch, "names.db"), filepath.Join(scratch, "snapshots.db")}
	if err := fill(namespaces.WithNamespace(ctx, namespace), store, drafts, layouts); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(store, metadataFolder), 0o755); err != nil {
		return err
	}
	if err := copyDatabase(drafts.names, filepath.Join(store, metadataFolder, "meta.db")); err != nil {
		return err
	}
	if err := copyDatabase(drafts.snapshots, filepath.Join(store, snapshotsFolder, "metadata.db")); err != nil {
		return err
	}
	return tidy(store)
}

// fill puts images into a store whose databases are elsewhere.
func fill(ctx context.Context, store string, where databases, layouts []string) (err error) {
	blobs, err := local.NewStore(filepath.Join(store, contentFolder))
	if err != nil {
		return err
	}
	overlays, err := newSnapshotter(filepath.Join(store, snapshotsFolder), where.snapshots)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, overlays.Close()) }()
	database, err := bolt.Open(where.names, 0o600, &bolt.Options{NoSync: true})
	if err != nil {
		return err
	}
	db := metadata.NewDB(database, blobs, map[string]snapshots.Snapshotter{snapshotterName: overlays})
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.Init(ctx); err != nil {
		return err
	}
	filler := newFiller(db)
	for _, layout := range layouts {
		image, err := readLayout(layout)
		if err == nil {
			err = filler.add(ctx, image)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", layout, err)
		}
	}
	return filler.owners.write(store)
}
