// SPDX-FileCopyrightText: The Constellation authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

const pageSize = 4096 // of databases, whatever the page size of the machine

// copyDatabase copies a bolt database so that the copy depends on what is in it, and on nothing else.
//
// Where bolt puts pages depends on the history of a database, and on the order in which it goes through the buckets that
// one transaction has opened, which is random. So the copy is new, each bucket is filled by a transaction of its own,
// which opens no other than those above it, and free pages are given out in the order of their numbers. Times are those
// of the epoch.
func copyDatabase(from, to string) (err error) {
	source, err := bolt.Open(from, 0o600, &bolt.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	target, err := bolt.Open(to, 0o644, &bolt.Options{
		PageSize:       pageSize,
		FreelistType:   bolt.FreelistArrayType,
		NoFreelistSync: true, // as containerd opens it
		NoSync:         true,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	return source.View(func(tx *bolt.Tx) error {
		return tx.ForEach(func(name []byte, bucket *bolt.Bucket) error {
			return copyBucket(target, [][]byte{name}, bucket)
		})
	})
}

// copyBucket copies a bucket and those in it; path has the names of the buckets above it and its own.
func copyBucket(target *bolt.DB, path [][]byte, bucket *bolt.Bucket) error {
	err := target.Update(func(tx *bolt.Tx) error {
		copied, err := makeBucket(tx, path)
		if err != nil {
			return err
		}
		if err := copied.SetSequence(bucket.Sequence()); err != nil {
			return err
		}
		return bucket.ForEach(func(key, value []byte) error {
			if value == nil {
				return nil // a bucket
			}
			return copied.Put(key, canonical(key, value))
		})
	})
	if err != nil {
		return err
	}
	return bucket.ForEachBucket(func(name []byte) error {
		return copyBucket(target, append(slices.Clip(path), name), bucket.Bucket(name))
	})
}

func makeBucket(tx *bolt.Tx, path [][]byte) (*bolt.Bucket, error) {
	bucket, err := tx.CreateBucketIfNotExists(path[0])
	for _, name := range path[1:] {
		if err != nil {
			return nil, err
		}
		bucket, err = bucket.CreateBucketIfNotExists(name)
	}
	return bucket, err
}

// canonical gives the value of a key in the copy; key names are those of containerd's core/metadata/boltutil.
func canonical(key, value []byte) []byte {
	switch string(key) {
	case "createdat", "updatedat":
		encoded, err := time.Unix(0, 0).UTC().MarshalBinary()
		if err != nil {
			panic(err) // only a time zone with odd seconds has none
		}
		return encoded
	}
	return value
}

// tidy removes folders that are for writers only, and sets all times to the epoch.
func tidy(store string) error {
	unused, err := filepath.Glob(filepath.Join(store, snapshotsFolder, "snapshots", "*", "work"))
	if err != nil {
		return err
	}
	for _, folder := range append(unused, filepath.Join(store, contentFolder, "ingest")) {
		if err := os.Remove(folder); err != nil { // fails unless it is empty
			return err
		}
	}
	return filepath.WalkDir(store, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return unix.Lutimes(path, []unix.Timeval{{}, {}})
	})
}
