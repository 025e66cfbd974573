// SPDX-FileCopyrightText: The Constellation authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/pkg/archive"
	"github.com/containerd/containerd/v2/pkg/archive/compression"
	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const whiteoutPrefix = ".wh." // OCI image format specification 1.1, "Image Layer Filesystem Changeset"

// layer is a layer of an image.
type layer struct {
	file       string
	descriptor ocispec.Descriptor
	diffID     digest.Digest // of the archive without compression
}

// read hands the archive of a layer to a function, without its compression. The archive must have the digest that the
// configuration says.
func (l layer) read(use func(io.Reader) error) error {
	if !images.IsLayerType(l.descriptor.MediaType) {
		return fmt.Errorf("expected the archive of a layer, got %s", l.descriptor.MediaType)
	}
	file, err := os.Open(l.file)
	if err != nil {
		return err
	}
	defer file.Close()
	plain, err := compression.DecompressStream(file)
	if err != nil {
		return err
	}
	defer plain.Close()
	verifier := l.diffID.Verifier()
	stream := io.TeeReader(plain, verifier)
	if err := use(stream); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, stream); err != nil { // what stands behind the end of the archive
		return err
	}
	if !verifier.Verified() {
		return fmt.Errorf("its archive does not have the digest %s", l.diffID)
	}
	return nil
}

// apply unpacks a layer over what is in a folder.
func (l layer) apply(ctx context.Context, folder string, owners owners) error {
	return l.read(func(stream io.Reader) error {
		filter := archive.WithFilter(owners.noting(folder))
		_, err := archive.Apply(ctx, folder, stream, filter, archive.WithNoSameOwner())
		return err
	})
}

// bottom says how many of the lowest layers have to become one folder. Overlayfs marks what a layer takes away in ways
// that only root can write, so all up to the last layer that does not stand alone do. Those above are folders of their
// own, which images share.
func (image *layoutImage) bottom() (int, error) {
	if len(image.layers) == 0 {
		return 0, errors.New("expected a layer, got none")
	}
	for i := len(image.layers) - 1; i > 0; i-- {
		alone, err := image.layers[i].standsAlone()
		if err != nil {
			return 0, fmt.Errorf("layer %s: %w", image.layers[i].descriptor.Digest, err)
		}
		if !alone {
			return i + 1, nil
		}
	}
	return 1, nil
}

// standsAlone tells if a layer takes nothing of lower ones away, links to nothing in them, and names each folder that it
// has something in: so its owner and permissions are known.
func (l layer) standsAlone() (alone bool, err error) {
	named := map[string]bool{"/": true}
	err = l.read(func(stream io.Reader) error {
		reader := tar.NewReader(stream)
		for {
			header, err := reader.Next()
			if errors.Is(err, io.EOF) {
				alone = true
				return nil
			}
			if err != nil {
				return err
			}
			name := path.Clean("/" + header.Name)
			dangles := header.Typeflag == tar.TypeLink && !named[path.Clean("/"+header.Linkname)]
			if strings.HasPrefix(path.Base(name), whiteoutPrefix) || !named[path.Dir(name)] || dangles {
				return nil
			}
			named[name] = true
		}
	})
	return alone, err
}
