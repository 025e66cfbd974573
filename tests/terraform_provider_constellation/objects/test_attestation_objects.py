# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What is acceptable, as an object: the same policy there and back, and every part of it has an effect."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation.errors import NotGenuineError, PolicyError
from attestation.policy import Policy
from attestation.variant import Variant
from constellation_core.errors import ConfigError
from constellation_core.image_manifest import sign
from constellation_engine.node_image.signing import public_pem
from constellation_engine.testing.node_images import KEY, OTHER_KEY, FakeImage
from terraform_provider_constellation.objects.attestation import (
    Attestation,
    Measurement,
    attestation_of,
    policy_of,
    rest_of,
)
from terraform_provider_constellation.plugin.api import replaced

MANIFEST = FakeImage().manifest()
SIGNED = sign(MANIFEST.to_document(), KEY)
PUBLIC_KEY = public_pem(KEY).decode()
OF_IMAGE = attestation_of(MANIFEST.policy({}), signed=SIGNED, image=MANIFEST.image, public_key=PUBLIC_KEY)

REGISTERS = st.dictionaries(
    st.sampled_from(Variant.QEMU_VTPM.registers),
    st.fixed_dictionaries({"expected": st.binary(min_size=32, max_size=32).map(bytes.hex), "enforced": st.booleans()}),
    min_size=1,
)
TCB = st.fixed_dictionaries({name: st.integers(0, 255) for name in ("bootloader", "tee", "snp", "microcode")})
POLICIES = st.fixed_dictionaries(
    {"variant": st.just("qemu-vtpm"), "measurements": REGISTERS}, optional={"not_for_secrets": st.just(True)}
) | st.fixed_dictionaries(
    {
        "variant": st.just("qemu-snp"),
        "launch_digests": st.lists(st.binary(min_size=48, max_size=48).map(bytes.hex), min_size=1, max_size=3),
        "minimum_tcb": TCB,
        "crl": st.just("off"),
    },
    optional={"allow_smt": st.just(True), "vmpl": st.just([0, 1])},
)


@given(POLICIES)
def test_a_policy_is_the_same_there_and_back(record: dict[str, Any]) -> None:
    policy = Policy.from_mapping(record)
    assert policy_of(attestation_of(policy)) == policy


def test_a_signed_manifest_travels_with_its_policy() -> None:
    assert policy_of(OF_IMAGE) == MANIFEST.policy({})
    assert (OF_IMAGE.manifest, OF_IMAGE.image) == (SIGNED.document.decode(), "constellation-node 0.1.0")


def test_another_key_is_refused() -> None:
    with pytest.raises(NotGenuineError):
        policy_of(replaced(OF_IMAGE, public_key=public_pem(OTHER_KEY).decode()))


def test_no_key_is_refused() -> None:
    with pytest.raises(ConfigError):
        policy_of(replaced(OF_IMAGE, public_key=None))


@pytest.mark.parametrize(
    "changes",
    [
        {"measurements": {"11": Measurement(expected="00" * 32, warn_only=False)}},
        {"measurements": {"11": Measurement(expected=MANIFEST.measurements["11"].expected.hex(), warn_only=True)}},
        {"launch_digests": ["00" * 48]},
        {"variant": "openstack-vtpm"},
        {"minimum_tcb": {"snp": 1}},
        {"extra_policy": json.dumps({"measurements": {"0": {"expected": "", "enforced": True}}})},
    ],
)
def test_what_a_signed_manifest_says_otherwise_is_refused_and_not_ignored(changes: dict[str, Any]) -> None:
    with pytest.raises(PolicyError):
        policy_of(replaced(OF_IMAGE, **changes))


def test_registers_that_the_manifest_leaves_open_are_added() -> None:
    firmware = {"0": Measurement(expected="0F" * 32, warn_only=True)}
    policy = policy_of(replaced(OF_IMAGE, measurements={**(OF_IMAGE.measurements or {}), **firmware}))
    assert policy.measurements["0"].expected == b"\x0f" * 32
    assert policy.measurements["11"] == MANIFEST.measurements["11"]


@given(st.text(max_size=50))
def test_any_text_is_the_rest_of_a_policy_or_refused(text: str) -> None:
    with suppress(PolicyError):
        assert isinstance(rest_of(Attestation(variant="qemu-vtpm", extra_policy=text)), dict)
