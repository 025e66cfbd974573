# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""An image and the key of who builds it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from attestation.policy_fields import Register
from attestation.variant import Variant
from constellation_core.component_list import Component
from constellation_core.image_manifest import ImageManifest


@pytest.fixture(scope="session")
def image_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="session")
def image_key_pem(image_key: ec.EllipticCurvePrivateKey) -> str:
    return image_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.fixture(scope="session")
def manifest() -> ImageManifest:
    return ImageManifest(
        image="constellation 1.0.0",
        variant=Variant.QEMU_VTPM,
        measurements={"4": Register(bytes(32), enforced=True), "0": Register(b"\x01" * 32, enforced=False)},
        components=(Component("kubelet", "1.36.4", "ab" * 32),),
        created=datetime(2026, 11, 21, 12, 0, tzinfo=UTC),
        stub="257.9",
    )
