// SPDX-FileCopyrightText: The Constellation authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/metadata"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
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
	owners    owners
}

func newFiller(db *metadata.DB) *filler {
	return &filler{db.ContentStore(), db.Snapshotter(snapshotterName), metadata.NewImageStore(db), owners{}}
}

// add puts one image into the store: its snapshots, then the blobs that name them, then its names.
func (f *filler) add(ctx context.Context, image *layoutImage) error {
	end, err := image.bottom()
	if err != nil {
		return err
	}
	var parent string
	for first := 0; first < len(image.layers); first, end = end, end+1 {
		name := identity.ChainID(image.diffIDs[:end]).String()
		if err := f.unpack(ctx, image.layers[first:end], name, parent); err != nil {
			return err
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
	return f.addNames(ctx, image)
}

// addNames gives an image its names. The CRI plug-in wants the digest of the configuration to be one; two images may
// have the same.
func (f *filler) addNames(ctx context.Context, image *layoutImage) error {
	identifier := image.manifest.Config.Digest.String()
	for _, name := range append(slices.Clip(image.names), identifier) {
		record := images.Image{Name: name, Target: image.target, Labels: imageLabels}
		_, err := f.images.Create(ctx, record)
		if err != nil && !(name == identifier && errdefs.IsAlreadyExists(err)) {
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

// unpack makes one snapshot of layers, unless another image brought it.
func (f *filler) unpack(ctx context.Context, layers []layer, name, parent string) error {
	if _, err := f.snapshots.Stat(ctx, name); !errdefs.IsNotFound(err) {
		return err
	}
	key := "unpacking " + name
	mounts, err := f.snapshots.Prepare(ctx, key, parent)
	if err != nil {
		return err
	}
	folder, err := upperFolder(mounts)
	if err != nil {
		return err
	}
	for _, layer := range layers {
		if err := layer.apply(ctx, folder, f.owners); err != nil {
			return fmt.Errorf("layer %s: %w", layer.descriptor.Digest, err)
		}
	}
	return f.snapshots.Commit(ctx, name, key)
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
