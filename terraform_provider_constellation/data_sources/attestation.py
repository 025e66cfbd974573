# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`data.constellation_attestation`: what is acceptable, from what whoever built an image signed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from terraform_provider_constellation.errors import telling
from terraform_provider_constellation.objects.attestation import Attestation, attestation_of, rest_of
from terraform_provider_constellation.objects.words import base64_text, json_object, public_key_pem, tcb_versions
from terraform_provider_constellation.plugin.api import (
    Call,
    DataSource,
    Model,
    Problem,
    computed,
    exactly_one_of,
    optional,
    required,
    rule,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


class SignedImage(Model):
    """What of an image is read: the object that `constellation_image` gives has it all."""

    manifest: str = required("Its `measurements.json`, byte for byte.")
    signature: str = required("Signature of that, base64.", validators=[base64_text])
    public_key: str | None = optional("Whose signatures its nodes believe, PEM.", validators=[public_key_pem])


class Acceptance(Model):
    """Say what is acceptable: machines that booted an image which the right one signed.

    The signature is verified, and a wrong one is an error. `public_key` says whom you trust to build images; without it
    the key that lies beside the image is taken, which shows that image and signature belong together, and not who made
    both.

    Platforms with hardware that signs want a minimum TCB too, and revocation lists: a partial policy is
    refused.
    """

    image: SignedImage | None = optional("The image: `data.constellation_image.NAME.image`.")
    manifest: str | None = optional("Instead of an image: its `measurements.json`, byte for byte.")
    signature: str | None = optional("Signature of the manifest, base64.", validators=[base64_text])
    public_key: str | None = optional(
        "Who builds images that are trusted: ECDSA P-256, PEM.", validators=[public_key_pem]
    )
    minimum_tcb: dict[str, int] | None = optional(
        "Least security version of each component: `bootloader`, `tee`, `snp`, `microcode` of SEV-SNP; `module`, "
        "`microcode`, `pce`, `qe` of TDX.",
        validators=[tcb_versions],
    )
    extra_policy: str | None = optional(
        'What else the policy says, JSON: `jsonencode({ products = ["Genoa"], … })`. See the page on policies.',
        validators=[json_object],
    )
    attestation: Attestation = computed("What is acceptable.")
    policy: str = computed("The same as a whole policy, JSON: for `constellation verify --policy`.")

    sources = exactly_one_of("image", "manifest")

    @rule
    def a_manifest_is_signed(self) -> Iterator[Problem]:
        """A manifest without signature is anybody's."""
        if self.manifest is not None and self.signature is None:
            yield Problem("Missing signature", "With manifest also signature must be given.", "manifest")
        if self.manifest is None and self.signature is not None:
            yield Problem("Invalid combination", "The signature goes with manifest; an image has its own.", "signature")

    @rule
    def somebody_is_trusted(self) -> Iterator[Problem]:
        """Without a key nothing can be verified."""
        if self.public_key is None and (self.image is None or self.image.public_key is None):
            detail = "Expected the key of who builds images: nothing lies beside what is only published."
            yield Problem("Missing public_key", detail, "image" if self.image is not None else "manifest")


class AttestationSource(DataSource[Acceptance]):
    """Verifies what was signed, and makes a policy of it."""

    name = "constellation_attestation"

    async def read(self, config: Acceptance, call: Call) -> Acceptance:
        """Verify, then read."""
        del call
        import json  # noqa: PLC0415

        from constellation_core.image_manifest import SignedManifest  # noqa: PLC0415 - see `read` of images

        source = config.image or config
        key = config.public_key or (config.image.public_key if config.image else None) or ""
        with telling("The signature of the manifest does not hold", at="image" if config.image else "manifest"):
            signed = SignedManifest.from_text((source.manifest or "").encode(), source.signature or "")
            manifest = signed.verify(key)
        with telling("No policy"):
            given = Attestation(minimum_tcb=config.minimum_tcb, extra_policy=config.extra_policy)
            policy = manifest.policy(rest_of(given))
        config.attestation = attestation_of(policy, signed=signed, image=manifest.image, public_key=key)
        config.policy = json.dumps(policy.to_mapping(), sort_keys=True)
        return config
