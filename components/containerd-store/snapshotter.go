// SPDX-FileCopyrightText: The Constellation authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io/fs"
	"path/filepath"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/storage"
	"github.com/containerd/containerd/v2/plugins/snapshots/overlay"
	bolt "go.etcd.io/bbolt"
)

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
