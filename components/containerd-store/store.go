// SPDX-FileCopyrightText: The Constellation authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/v2/core/metadata"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/storage"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/containerd/containerd/v2/plugins/snapshots/overlay"
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

// makeStore makes a store with the images of layouts. Both databases are drafts first, and then copied in one form.
func makeStore(ctx context.Context, store string, layouts []string) (err error) {
	if err := os.Mkdir(store, 0o755); err != nil {
		return err
	}
	drafts, err := os.MkdirTemp("", "containerd-store-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(drafts)
	names, files := filepath.Join(drafts, "meta.db"), filepath.Join(drafts, "metadata.db")
	if err := fill(namespaces.WithNamespace(ctx, namespace), store, names, files, layouts); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(store, metadataFolder), 0o755); err != nil {
		return err
	}
	return errors.Join(
		copyDatabase(names, filepath.Join(store, metadataFolder, "meta.db")),
		copyDatabase(files, filepath.Join(store, snapshotsFolder, "metadata.db")),
		tidy(store),
	)
}

// fill puts images into a store whose databases are elsewhere: the one with all names, the one of the snapshotter.
func fill(ctx context.Context, store, names, files string, layouts []string) (err error) {
	blobs, err := local.NewStore(filepath.Join(store, contentFolder))
	if err != nil {
		return err
	}
	overlays, err := newSnapshotter(filepath.Join(store, snapshotsFolder), files)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, overlays.Close()) }()
	database, err := bolt.Open(names, 0o600, &bolt.Options{NoSync: true})
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
	return nil
}

// snapshotter is containerd's for overlayfs, except that what it notes of sizes does not depend on the file system that
// the store is built on.
type snapshotter struct {
	snapshots.Snapshotter
	database *storage.MetaStore
	folder   string
}

func newSnapshotter(folder, database string) (*snapshotter, error) {
	store, err := storage.NewMetaStore(database, func(options *bolt.Options) error {
		options.NoSync = true
		return nil
	})
	if err != nil {
		return nil, err
	}
	// The option keeps it from trying mounts: nothing will be mounted here.
	options := overlay.WithMountOptions([]string{"userxattr", "index=off"})
	wrapped, err := overlay.NewSnapshotter(folder, overlay.WithMetaStore(store), options)
	if err != nil {
		return nil, err
	}
	return &snapshotter{wrapped, store, folder}, nil
}

// Commit is that of the wrapped snapshotter, which would ask the file system how many blocks are used.
func (s *snapshotter) Commit(ctx context.Context, name, key string, opts ...snapshots.Opt) error {
	return s.database.WithTransaction(ctx, true, func(ctx context.Context) error {
		id, _, _, err := storage.GetInfo(ctx, key)
		if err != nil {
			return err
		}
		usage, err := usageOf(filepath.Join(s.folder, "snapshots", id, "fs"))
		if err != nil {
			return err
		}
		_, err = storage.CommitActive(ctx, key, name, usage, opts...)
		return err
	})
}

// usageOf counts what is below a folder, and the bytes in files.
func usageOf(folder string) (usage snapshots.Usage, err error) {
	err = filepath.WalkDir(folder, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		usage.Inodes++
		if entry.Type().IsRegular() {
			info, err := entry.Info()
			if err != nil {
				return err
			}
			usage.Size += info.Size()
		}
		return nil
	})
	return usage, err
}
