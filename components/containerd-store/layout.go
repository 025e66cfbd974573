// SPDX-FileCopyrightText: The Constellation authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/v2/core/images"
	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// layoutImage is the one image of a layout.
type layoutImage struct {
	layout   string
	names    []string
	target   ocispec.Descriptor // names the manifest
	manifest ocispec.Manifest
	layers   []layer // from the lowest up
	diffIDs  []digest.Digest
}

// readLayout reads what a layout says of its image; the bytes of the manifest and of the configuration are checked.
func readLayout(layout string) (*layoutImage, error) {
	var index ocispec.Index
	data, err := os.ReadFile(filepath.Join(layout, ocispec.ImageIndexFile))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &index); err != nil {
		return nil, err
	}
	image := &layoutImage{layout: layout}
	for _, found := range index.Manifests {
		target := ocispec.Descriptor{MediaType: found.MediaType, Digest: found.Digest, Size: found.Size}
		if len(image.names) > 0 && target.Digest != image.target.Digest {
			return nil, fmt.Errorf("expected one image, got %s and %s", image.target.Digest, target.Digest)
		}
		name := found.Annotations[images.AnnotationImageName]
		if name == "" {
			return nil, errors.New("expected the annotation " + images.AnnotationImageName)
		}
		image.names, image.target = append(image.names, name), target
	}
	if len(image.names) == 0 {
		return nil, errors.New("expected an image, got none")
	}
	var config ocispec.Image
	if err := image.decode(image.target, &image.manifest); err != nil {
		return nil, err
	}
	if err := image.decode(image.manifest.Config, &config); err != nil {
		return nil, err
	}
	image.diffIDs = config.RootFS.DiffIDs
	if len(image.diffIDs) != len(image.manifest.Layers) {
		return nil, fmt.Errorf("expected %d layers, got %d", len(image.diffIDs), len(image.manifest.Layers))
	}
	for i, descriptor := range image.manifest.Layers {
		image.layers = append(image.layers, layer{image.place(descriptor), descriptor, image.diffIDs[i]})
	}
	return image, nil
}

// blob gives the bytes of a small blob if they have its digest.
func (image *layoutImage) blob(descriptor ocispec.Descriptor) ([]byte, error) {
	data, err := os.ReadFile(image.place(descriptor))
	if err != nil {
		return nil, err
	}
	if got := digest.FromBytes(data); got != descriptor.Digest {
		return nil, fmt.Errorf("expected a blob %s, got %s", descriptor.Digest, got)
	}
	return data, nil
}

// place gives the path of a blob.
func (image *layoutImage) place(descriptor ocispec.Descriptor) string {
	return filepath.Join(image.layout, ocispec.ImageBlobsDir, "sha256", descriptor.Digest.Encoded())
}

func (image *layoutImage) decode(descriptor ocispec.Descriptor, into any) error {
	data, err := image.blob(descriptor)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}
