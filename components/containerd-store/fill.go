// SPDX-FileCopyrightText: The Constellation authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/metadata"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/pkg/archive"
	"github.com/containerd/errdefs"
	digest "github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/identity"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// imageLabels make an image one of containerd's CRI plug-in, which the kubelet never collects: a node could not get it
// back. The names are of internal/cri/labels there.
var imageLabels = map[string]string{
	"io.cri-containerd.image":  "managed",
	"io.cri-containerd.pinned": "pinned",
}

// Labels by which containerd's garbage collector goes from an image to its manifest, to its configuration, and to its
// snapshot. None leads to layers: their archives are not kept ("discard_unpacked_layers").
const (
	configReference   = "containerd.io/gc.ref.content.config"
	snapshotReference = "containerd.io/gc.ref.snapshot." + snapshotterName
)

// filler puts images into a store.
type filler struct {
	content   content.Store
	snapshots snapshots.Snapshotter
	images    images.Store
}

func newFiller(db *metadata.DB) *filler {
	return &filler{db.ContentStore(), db.Snapshotter(snapshotterName), metadata.NewImageStore(db)}
}

// add puts one image into the store: its snapshots, then the blobs that name them, then its names.
func (f *filler) add(ctx context.Context, image *layoutImage) error {
	var parent string
	for i, layer := range image.manifest.Layers {
		name := identity.ChainID(image.diffIDs[:i+1]).String()
		if err := f.unpack(ctx, image, layer, image.diffIDs[i], name, parent); err != nil {
			return fmt.Errorf("layer %s: %w", layer.Digest, err)
		}
		parent = name
	}
	config := image.manifest.Config
	if err := f.copyBlob(ctx, image, config, snapshotReference, parent); err != nil {
		return err
	}
	if err := f.copyBlob(ctx, image, image.target, configReference, config.Digest.String()); err != nil {
		return err
	}
	for _, name := range append(slices.Clip(image.names), config.Digest.String()) { // the CRI plug-in wants both
		record := images.Image{Name: name, Target: image.target, Labels: imageLabels}
		if _, err := f.images.Create(ctx, record); err != nil {
			return err
		}
	}
	return nil
}

func (f *filler) copyBlob(
	ctx context.Context, image *layoutImage, descriptor ocispec.Descriptor, label, value string,
) error {
	data, err := image.blob(descriptor)
	if err != nil {
		return err
	}
	labels := content.WithLabels(map[string]string{label: value})
	return content.WriteBlob(ctx, f.content, descriptor.Digest.String(), bytes.NewReader(data), descriptor, labels)
}

// unpack makes the snapshot of a layer, unless another image brought it.
func (f *filler) unpack(
	ctx context.Context, image *layoutImage, layer ocispec.Descriptor, diffID digest.Digest, name, parent string,
) error {
	if _, err := f.snapshots.Stat(ctx, name); !errdefs.IsNotFound(err) {
		return err
	}
	if layer.MediaType != ocispec.MediaTypeImageLayer {
		return fmt.Errorf("expected %s, got %s", ocispec.MediaTypeImageLayer, layer.MediaType)
	}
	file, err := os.Open(image.place(layer))
	if err != nil {
		return err
	}
	defer file.Close()
	key := "unpacking " + name
	mounts, err := f.snapshots.Prepare(ctx, key, parent)
	if err != nil {
		return err
	}
	folder, err := upperFolder(mounts)
	if err != nil {
		return err
	}
	if err := apply(ctx, folder, file, diffID); err != nil {
		return err
	}
	return f.snapshots.Commit(ctx, name, key)
}

// apply unpacks a layer into a folder. The archive must have the digest that the configuration says.
func apply(ctx context.Context, folder string, layer io.Reader, diffID digest.Digest) error {
	verifier := diffID.Verifier()
	stream := io.TeeReader(layer, verifier)
	if _, err := archive.Apply(ctx, folder, stream, archive.WithFilter(isOurs), archive.WithNoSameOwner()); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, stream); err != nil { // what stands behind the end of the archive
		return err
	}
	if !verifier.Verified() {
		return fmt.Errorf("its archive does not have the digest %s", diffID)
	}
	return nil
}

// isOurs refuses entries that an ordinary user cannot unpack faithfully. Our own layers have none.
func isOurs(header *tar.Header) (bool, error) {
	switch {
	case header.Uid != 0 || header.Gid != 0:
		return false, fmt.Errorf("%s: expected an owner 0:0, got %d:%d", header.Name, header.Uid, header.Gid)
	case header.Typeflag != tar.TypeReg && header.Typeflag != tar.TypeDir && header.Typeflag != tar.TypeSymlink:
		return false, fmt.Errorf("%s: expected a file, folder or symbolic link, got %q", header.Name, header.Typeflag)
	case strings.HasPrefix(path.Base(header.Name), ".wh."):
		return false, fmt.Errorf("%s: this would take away a file of a lower layer", header.Name)
	}
	return true, nil
}

// upperFolder gives the folder that a mount would write to.
func upperFolder(mounts []mount.Mount) (string, error) {
	if len(mounts) == 1 && mounts[0].Type == "bind" {
		return mounts[0].Source, nil
	}
	for _, mounted := range mounts {
		for _, option := range mounted.Options {
			if folder, found := strings.CutPrefix(option, "upperdir="); found {
				return folder, nil
			}
		}
	}
	return "", errors.New("expected a snapshot with a folder to write to")
}
