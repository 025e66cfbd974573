# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""How a node judges a service: by its own image, or by a manifest that the maker of its image signed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from attestation.issuer import Devices, issuer_for
from attestation.policy import Policy
from attestation.policy_fields import Register
from attestation.testing.tpm import SoftwareTpm
from attestation.variant import Variant
from constellation_core.channel.verifier import ImageVerifier
from constellation_core.errors import PeerNotAcceptedError
from constellation_core.image_manifest import ImageManifest, SignedManifest, sign

if TYPE_CHECKING:
    from attestation.evidence import Evidence

OURS, NEWER, BINDING = bytes([1]) * 32, bytes([2]) * 32, bytes(range(32))
KEY, STRANGER = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())


def public(key: ec.EllipticCurvePrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


VERIFIER = ImageVerifier(
    own=Policy(variant=Variant.QEMU_VTPM, measurements={"4": Register(OURS, enforced=True)}),
    rest={},
    image_key=public(KEY),
)


def manifest(image: bytes, key: ec.EllipticCurvePrivateKey = KEY, name: str = "test") -> SignedManifest:
    registers = {"4": Register(image, enforced=True)}
    record = ImageManifest(
        image=name, variant=Variant.QEMU_VTPM, measurements=registers, created=datetime.now(UTC), stub="257"
    )
    return sign(record.to_document(), key)


def evidence(image: bytes) -> Evidence:
    tpm = SoftwareTpm()
    tpm.pcrs[4] = image
    return issuer_for(Variant.QEMU_VTPM, Devices(tpm=tpm)).issue(BINDING)


@pytest.mark.parametrize("signed", [None, manifest(OURS), manifest(NEWER)])
def test_our_own_image_is_accepted(signed: SignedManifest | None) -> None:
    assert VERIFIER.judge(evidence(OURS), binding=BINDING, image=signed).accepted


def test_an_image_for_debugging_is_not_accepted_by_one_that_is_not() -> None:
    """Its maker is ours, but whoever sits at its console can do what he likes."""
    debugging = manifest(NEWER, name="test (debug)")
    with pytest.raises(PeerNotAcceptedError, match="not for secrets"):
        VERIFIER.judge(evidence(NEWER), binding=BINDING, image=debugging)


def test_images_for_debugging_accept_one_another_and_say_so() -> None:
    own = replace(VERIFIER.own, not_for_secrets=True)
    verdict = replace(VERIFIER, own=own).judge(
        evidence(NEWER), binding=BINDING, image=manifest(NEWER, name="test (debug)")
    )
    assert verdict.accepted
    assert any("NOT FOR SECRETS" in warning for warning in verdict.warnings)


def test_another_image_of_the_same_maker_is_accepted() -> None:
    assert VERIFIER.judge(evidence(NEWER), binding=BINDING, image=manifest(NEWER)).accepted


@pytest.mark.parametrize("signed", [None, manifest(OURS)])
def test_an_image_that_nobody_described_is_refused(signed: SignedManifest | None) -> None:
    verdict = VERIFIER.judge(evidence(NEWER), binding=BINDING, image=signed)
    assert [reason.name for reason in verdict.mismatches] == ["measurements.4"]


@pytest.mark.parametrize("image", [OURS, NEWER])
def test_a_manifest_of_a_stranger_is_refused(image: bytes) -> None:
    with pytest.raises(PeerNotAcceptedError, match=r"image\.signature"):
        VERIFIER.judge(evidence(image), binding=BINDING, image=manifest(image, STRANGER))


def test_a_changed_manifest_is_refused() -> None:
    good = manifest(OURS)
    changed = SignedManifest(good.document.replace(OURS.hex().encode(), NEWER.hex().encode()), good.signature)
    with pytest.raises(PeerNotAcceptedError, match=r"image\.signature"):
        VERIFIER.judge(evidence(NEWER), binding=BINDING, image=changed)


def test_it_is_for_our_own_platform() -> None:
    assert VERIFIER.variants == {Variant.QEMU_VTPM}
