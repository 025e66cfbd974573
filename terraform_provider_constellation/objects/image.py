# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A node image, as `data.constellation_image` gives it: what it is, where it is, and what whoever built it signed."""

from __future__ import annotations

from terraform_provider_constellation.plugin.api import Model, optional, required


class Image(Model):
    """A node image."""

    reference: str = required("What machines boot: the path of its disk, a URL, or its ID in a cloud.")
    version: str = required("Its version.")
    short_path: str = optional("Name, variant, profile and version, by which people tell images apart.")
    name: str = optional("Its name.")
    path: str = optional("Its folder on this machine; null where it is only published.")
    variant: str = optional("The platform that judges its machines, such as `qemu-vtpm`.")
    profile: str = optional("How much it lets people in: `release`, `debug` or `emergency-access`.")
    kubernetes_version: str = optional("Version of Kubernetes in it, such as `v1.36.4`.")
    created: str = optional("When it was built (RFC 3339, UTC).")
    public_key: str = optional("Whose signatures its nodes believe: ECDSA P-256, PEM. Null where it is only published.")
    manifest: str = optional("What it measures: `measurements.json`, byte for byte.")
    signature: str = optional(
        "Signature of the manifest, base64. Whether it holds is what `constellation_attestation` says."
    )
