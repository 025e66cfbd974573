// SPDX-FileCopyrightText: The Constellation authors
// SPDX-License-Identifier: Apache-2.0

// Command containerd-store makes the folder of a containerd that has images already: known to its CRI plug-in by name,
// unpacked, pinned, and without the archives that they were unpacked from.
//
//	containerd-store STORE LAYOUT…
//
// STORE is made; it becomes the `root` of containerd's configuration. Each LAYOUT is a folder with one image (OCI image
// format specification 1.1, "Image Layout"). Its index has an entry for each name of the image, in the annotation
// io.containerd.image.name.
//
// Layers may be compressed, and may take away what lower ones have. owners.json in the store says whom files belong to that
// are not root's.
//
// containerd's own packages write the store, in this process: no daemon runs, nothing is mounted, and nobody must be
// root. The same images give the same bytes (canonical.go), so that a file system with the store can be measured.
package main

import (
	"context"
	"fmt"
	"os"
	"syscall"

	"github.com/containerd/log"
)

const statusUsage = 64 // sysexits.h

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: containerd-store STORE LAYOUT...")
		os.Exit(statusUsage)
	}
	_ = log.SetLevel("error") // warnings are about mounts and file systems, of which the store will see others
	syscall.Umask(0o022)      // of whoever builds: it must not show in the store
	if err := makeStore(context.Background(), os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "containerd-store:", err)
		os.Exit(1)
	}
}
