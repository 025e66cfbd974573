# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`provider::constellation::measurements_from_manifest`: registers that whoever built an image signed."""

from __future__ import annotations

from typing import Annotated

from terraform_provider_constellation.errors import blaming
from terraform_provider_constellation.objects.attestation import Measurement
from terraform_provider_constellation.plugin.api import function


@function
def measurements_from_manifest(
    manifest: Annotated[str, "`measurements.json` of an image, byte for byte: `file(…)`."],
    signature: Annotated[str, "Its signature, base64: `file(…)` of `measurements.json.sig`."],
    public_key: Annotated[str, "Who builds images that are trusted: ECDSA P-256, PEM."],
) -> dict[str, Measurement]:
    """Read the measurements of a signed manifest.

    Nothing is read before the signature holds. The result is what `constellation_attestation` gives as
    `attestation.measurements`.
    """
    from constellation_core.image_manifest import SignedManifest  # noqa: PLC0415 - Terraform starts us often

    with blaming("signature"):
        signed = SignedManifest.from_text(manifest.encode("utf-8", "surrogatepass"), signature)
    with blaming(""):
        found = signed.verify(public_key)
    return {
        name: Measurement(expected=one.expected.hex(), warn_only=not one.enforced)
        for name, one in found.measurements.items()
    }
