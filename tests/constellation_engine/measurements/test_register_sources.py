# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Registers are taken out of whatever has them, and put together without replacing any."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation.policy_fields import Register
from constellation_core.errors import ConfigError
from constellation_engine.measurements import merged, registers_of, shown

ONE, OTHER = "ab" * 32, "cd" * 32
NAMES = st.sampled_from([*map(str, range(24)), "mrtd", "rtmr0"])
REGISTERS = st.dictionaries(
    NAMES, st.builds(Register, st.binary(min_size=32, max_size=32), enforced=st.booleans()), min_size=1
)


@pytest.mark.parametrize(
    "source, enforced",
    [
        ({"variant": "qemu-vtpm", "measurements": {"4": {"expected": ONE, "enforced": True}}}, True),
        ({"measurements": {4: {"expected": ONE.upper(), "enforced": False}}}, False),
        ({"4": {"expected": ONE, "warn_only": True}}, False),
        ({"4": {"expected": ONE, "warn_only": None}}, True),
        ({"measurements": {"4": ONE, "launch_digest": "00" * 48}}, True),
    ],
)
def test_registers_are_found_in(source: dict[str, Any], enforced: bool) -> None:
    assert registers_of(source) == {"4": Register(bytes.fromhex(ONE), enforced=enforced)}


@given(REGISTERS)
def test_what_is_shown_is_read_again(registers: dict[str, Register]) -> None:
    assert registers_of(shown(registers)) == registers


def test_a_register_is_enforced_if_one_source_enforces_it() -> None:
    loose, strict = ({"4": Register(bytes(32), enforced=enforced)} for enforced in (False, True))
    assert merged(loose, strict) == merged(strict, loose) == strict
    assert merged(loose, loose, {"9": Register(bytes(32), enforced=False)}).keys() == {"4", "9"}


def test_two_values_of_one_register_are_refused() -> None:
    with pytest.raises(ConfigError, match=f"register 4 is expected to be {ONE} and {OTHER}"):
        merged(registers_of({"4": ONE}), registers_of({"4": OTHER}))


@pytest.mark.parametrize(
    "source, said",
    [
        (None, "NoneType"),
        ({}, "expected registers"),
        ({"measurements": []}, "list"),
        ({"24": ONE}, "'24'"),
        ({"4": "ab"}, "register 4: expected 64 or 96 hexadecimal digits, got 2 characters"),
        ({"4": {"enforced": True}}, "got NoneType"),
        ({"4": {"expected": ONE, "enforced": "yes"}}, "true or false"),
        ({"4": {"expected": ONE, "enforced": True, "warn_only": True}}, "enforced or warn_only"),
    ],
)
def test_what_has_no_registers_is_refused(source: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        registers_of(source)
