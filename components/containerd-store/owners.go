// SPDX-FileCopyrightText: The Constellation authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/containerd/v2/pkg/archive"
	"github.com/containerd/continuity/fs"
)

const (
	ownersFile  = "owners.json"
	maxOwner    = 65535           // whoever builds an image has no higher numbers to give away (subuid(5))
	extraRights = 0o6000          // those of the owner, and of the group
	attribute   = "SCHILY.xattr." // how pax writes extended attributes, capabilities among them
)

// owner is the number of a user and that of a group.
type owner [2]int

// owners says whom files belong to that are not root's, by their paths. Only root can give files away, and whoever makes
// a store need not be: it is done later, where the store becomes part of a file system (images/node/mkosi.finalize).
type owners map[string]owner

// noting gives a filter for archives that are unpacked into a folder. It notes owners, refuses what a layer of a
// container has no use for and an ordinary user cannot unpack, and takes rights away that a program would have beyond
// those of its caller: nothing in a node may have them.
func (o owners) noting(folder string) archive.Filter {
	return func(header *tar.Header) (bool, error) {
		switch header.Typeflag {
		case tar.TypeReg, tar.TypeLink:
			header.Mode &^= extraRights
		case tar.TypeDir, tar.TypeSymlink, tar.TypeXGlobalHeader:
		default:
			return false, fmt.Errorf("%s: expected a file, folder or link, got %q", header.Name, header.Typeflag)
		}
		maps.DeleteFunc(header.PAXRecords, func(key, _ string) bool { return strings.HasPrefix(key, attribute) })
		of := owner{header.Uid, header.Gid}
		if min(of[0], of[1]) < 0 || max(of[0], of[1]) > maxOwner {
			return false, fmt.Errorf("%s: expected an owner from 0 to %d, got %d:%d", header.Name, maxOwner, of[0], of[1])
		}
		parent, base := filepath.Split(header.Name)
		parent, err := fs.RootPath(folder, parent) // follows links, as unpacking does
		if err != nil {
			return false, err
		}
		place := filepath.Join(parent, filepath.Join("/", base))
		delete(o, place)
		if of != (owner{}) {
			o[place] = of
		}
		return true, nil
	}
}

// write writes the owners of what is there in the end, by paths in the store.
func (o owners) write(store string) error {
	found := map[string]owner{}
	for place, of := range o {
		if _, err := os.Lstat(place); err != nil {
			continue // an upper layer took it away
		}
		name, err := filepath.Rel(store, place)
		if err != nil {
			return err
		}
		found[name] = of
	}
	data, err := json.Marshal(found) // sorts names
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(store, ownersFile), append(data, '\n'), 0o644)
}
