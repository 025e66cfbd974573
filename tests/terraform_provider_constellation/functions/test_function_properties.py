# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Functions by themselves: for any argument they give a result, or say which argument is wrong."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation.testing.node import FakeNode
from attestation.variant import Technology, Variant
from terraform_provider_constellation.functions.measurements_from_manifest import measurements_from_manifest
from terraform_provider_constellation.functions.measurements_merge import measurements_merge
from terraform_provider_constellation.functions.parse_evidence import parse_evidence
from terraform_provider_constellation.objects.attestation import Measurement
from terraform_provider_constellation.plugin.api import ArgumentError

EVIDENCE = FakeNode(Variant.QEMU_VTPM).evidence(bytes(32)).to_json().decode()
VALUES = st.builds(Measurement, expected=st.sampled_from(["0a" * 32, "0A" * 32, "0b" * 32]), warn_only=st.booleans())
REGISTERS = st.dictionaries(st.sampled_from(["0", "4", "11", "mrtd"]), VALUES)


@pytest.mark.parametrize("variant", [variant for variant in Variant if variant is not Variant.INSECURE])
def test_evidence_of_every_platform_is_read(variant: Variant) -> None:
    found = parse_evidence.call(FakeNode(variant).evidence(bytes(32)).to_json().decode())
    assert found.variant == variant.value
    assert (found.snp is not None) == (Technology.SNP in variant.technologies)
    assert (found.tdx is not None) == (Technology.TDX in variant.technologies)
    assert found.measurements.keys() >= set(variant.registers)


@given(st.integers(0, len(EVIDENCE)), st.text(max_size=3))
def test_any_text_is_evidence_or_refused(at: int, text: str) -> None:
    with suppress(ArgumentError):
        parse_evidence.call(EVIDENCE[:at] + text + EVIDENCE[at + len(text) :])


@given(st.text(max_size=200), st.text(max_size=50), st.text(max_size=100))
def test_nothing_is_read_that_nobody_signed(manifest: str, signature: str, key: str) -> None:
    with pytest.raises(ArgumentError):
        measurements_from_manifest.call(manifest, signature, key)


@given(st.lists(REGISTERS, min_size=1, max_size=4))
def test_merging_is_independent_of_order_and_loses_nothing(sources: list[dict[str, Measurement]]) -> None:
    try:
        merged = measurements_merge.call(*sources)
    except ArgumentError:
        with pytest.raises(ArgumentError):
            measurements_merge.call(*reversed(sources))
        return
    assert merged == measurements_merge.call(*reversed(sources))
    for source in sources:
        for name, one in source.items():
            assert merged[name].expected == one.expected.lower()
            assert one.warn_only or not merged[name].warn_only
