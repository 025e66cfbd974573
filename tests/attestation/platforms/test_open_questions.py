# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a policy or a caller leaves open is refused, or said in the verdict."""

from __future__ import annotations

import hashlib

import pytest

from attestation import Variant
from attestation.snp.product import Product
from attestation.testing.node import FakeNode
from attestation.tpm.event_log import parse_event_log

BINDING = hashlib.sha256(b"binding").digest()


def test_a_cluster_mark_on_a_variant_without_registers_is_refused() -> None:
    verdict = FakeNode(Variant.QEMU_SNP).verdict(BINDING, mark=b"\x01" * 32)
    assert [mismatch.name for mismatch in verdict.mismatches] == ["mark"]


def test_a_demanded_log_must_explain_every_enforced_register() -> None:
    node = FakeNode(Variant.QEMU_VTPM)
    policy = node.policy() | {"require_event_log": True}
    assert node.verdict(BINDING, policy=policy).accepted
    for cut in cuts(node.tpm.event_log):
        node.tpm.event_log = cut
        names = {mismatch.name for mismatch in node.verdict(BINDING, policy=policy).mismatches}
        assert names & {"event_log", "require_event_log"}


def cuts(log: bytes) -> list[bytes]:
    """The log, cut off before each of its last events."""
    sizes = [32 + 2 + 4 + len(event.data) for event in parse_event_log(log).events[1:]]
    return [log[: len(log) - sum(sizes[index:]) - 8 * len(sizes[index:])] for index in range(1, len(sizes))]


@pytest.mark.parametrize("name", ["9", "11", "12"])
def test_registers_that_are_left_open_are_named(name: str) -> None:
    node = FakeNode(Variant.QEMU_VTPM)
    policy = node.policy()
    policy["measurements"].pop(name, None)
    warnings = node.verdict(BINDING, policy=policy).warnings
    assert any(warning.startswith("registers that are not enforced") and name in warning for warning in warnings)


def test_fake_roots_show_in_the_verdict() -> None:
    verdict = FakeNode(Variant.QEMU_SNP).verdict(BINDING)
    assert "other keys than those of AMD and Intel were believed" in verdict.warnings


def test_a_role_that_nothing_binds_shows_in_the_verdict() -> None:
    node = FakeNode(Variant.QEMU_SNP)
    policy = node.policy()
    policy.pop("launch_manifests", None)
    assert any("launch_manifests" in warning for warning in node.verdict(BINDING, policy=policy).warnings)


@pytest.mark.parametrize("name", ["Genoa-B1", "Siena-A0", "Bergamo-A2"])
def test_siblings_of_genoa_are_genoa(name: str) -> None:
    assert Product.from_name(name) is Product.GENOA
