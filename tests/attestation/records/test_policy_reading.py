# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A policy is read strictly: what is empty, partial, misspelt or without effect is refused with a hint."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation import Policy, Variant
from attestation.errors import PolicyError
from attestation.policy import json_schema
from attestation.policy_fields import FIELDS

REGISTER = {"expected": "00" * 32, "enforced": True}
VTPM: dict[str, Any] = {"variant": "qemu-vtpm", "measurements": {"4": REGISTER}}
TCB = {"bootloader": 4, "tee": 0, "snp": 24, "microcode": 219}
SNP: dict[str, Any] = {"variant": "qemu-snp", "launch_digests": ["ab" * 48], "minimum_tcb": TCB, "crl": "off"}


def test_reads_what_it_writes() -> None:
    policy = Policy.from_mapping({**SNP, "vmpl": [0, 1], "crl_max_age": "12h", "allow_smt": True})
    assert Policy.from_mapping(policy.to_mapping()) == policy
    assert policy.crl_max_age == timedelta(hours=12)


def test_yaml_spellings_mean_the_same() -> None:
    assert Policy.from_mapping({**VTPM, "measurements": {4: REGISTER}}) == Policy.from_mapping(VTPM)
    assert Policy.from_mapping({**SNP, "crl": False}) == Policy.from_mapping(SNP)


def test_the_caller_may_name_the_variant() -> None:
    unnamed = {key: value for key, value in VTPM.items() if key != "variant"}
    assert Policy.from_mapping(unnamed, variant=Variant.QEMU_VTPM) == Policy.from_mapping(VTPM)


def test_the_nitro_document_has_wide_registers() -> None:
    wide = {"expected": "00" * 48, "enforced": True}
    mapping = {"variant": "aws-nitro-tpm", "measurements": {"4": wide, "9": REGISTER}, "ak_names": ["000b" + "00" * 32]}
    assert Policy.from_mapping(mapping).enforced == {"4": bytes(48), "9": bytes(32)}


def test_an_azure_td_is_only_as_good_as_its_paravisor() -> None:
    tcb = dict.fromkeys(("module", "microcode", "pce", "qe"), 0)
    with pytest.raises(PolicyError, match="lacks launch_digests"):
        Policy.from_mapping({"variant": "azure-tdx", "measurements": {"4": REGISTER}, "minimum_tcb": tcb, "crl": "off"})


def test_enforced_registers() -> None:
    recorded = {"expected": "11" * 32, "enforced": False}
    policy = Policy.from_mapping({**VTPM, "measurements": {"4": REGISTER, "0": recorded}})
    assert policy.enforced == {"4": bytes(32)}


@pytest.mark.parametrize(
    "mapping, message, hint",
    [
        ({}, "names no variant", "add"),
        ({"variant": "qemu-vtpm"}, "lacks measurements", "partial"),
        ({"variant": "qemu-vtmp"}, "unknown variant 'qemu-vtmp'", "did you mean qemu-vtpm?"),
        ({"variant": "bare-metal"}, "unknown variant", "known variants: qemu-vtpm"),
        ({**VTPM, "version": 2}, "version is 2", ""),
        ({**VTPM, "measurments": {}}, "unknown field 'measurments'", "did you mean measurements?"),
        ({**VTPM, "colour": "red"}, "unknown field 'colour'", "known fields"),
        ({**VTPM, "vmpl": [0]}, "vmpl has no effect on qemu-vtpm", "qemu-snp"),
        ({**VTPM, "measurements": {}}, "mapping from register", ""),
        ({**VTPM, "measurements": {"24": REGISTER}}, "registers of qemu-vtpm", ""),
        ({**VTPM, "measurements": {"4": "00" * 32}}, "{expected: hex, enforced", ""),
        ({**VTPM, "measurements": {"4": {**REGISTER, "expected": "00" * 31}}}, "64 hexadecimal digits, got 62", ""),
        ({**VTPM, "measurements": {"4": {**REGISTER, "expected": "zz" * 32}}}, "64 hexadecimal digits", ""),
        ({**VTPM, "measurements": {"4": {**REGISTER, "enforced": "yes"}}}, "true or false", ""),
        ({**SNP, "minimum_tcb": {"snp": 24}}, "lacks bootloader, tee, microcode", "0 accepts any"),
        ({**SNP, "minimum_tcb": {**TCB, "ucode": 1}}, "components out of", ""),
        ({**SNP, "minimum_tcb": {**TCB, "snp": "24"}}, "a number from 0", ""),
        ({**SNP, "minimum_tcb": {**TCB, "snp": True}}, "a number from 0", ""),
        ({**SNP, "launch_digests": []}, "1 to 256 entries", ""),
        ({**SNP, "launch_digests": "ab" * 48}, "1 to 256 entries", ""),
        ({**SNP, "launch_digests": ["ab"] * 257}, "1 to 256 entries", ""),
        ({**SNP, "vmpl": [4]}, "levels from 0 to 3", ""),
        ({**SNP, "products": ["Rome"]}, "names out of Milan", ""),
        ({**SNP, "crl": "required"}, "holds none", "crl: off"),
        ({**SNP, "crl": "soft-fail"}, "required or off", ""),
        ({**SNP, "crl_max_age": "a month"}, "30d or 12h", ""),
        ({**SNP, "revocation_lists": ["!"]}, "base64", ""),
        ({**SNP, "allow_debug": "false"}, "true or false", ""),
        ({**SNP, "launch_manifests": ["00" * 48]}, "64 hexadecimal digits", ""),
        ({"variant": "gcp-sev-es", "measurements": {"4": REGISTER}}, "lacks ak_roots or ak_names", ""),
        ({"variant": "insecure", "measurements": {"4": REGISTER}}, "no effect on insecure", ""),
    ],
)
def test_refuses(mapping: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(PolicyError) as refusal:
        Policy.from_mapping(mapping)
    assert message in str(refusal.value)
    assert hint in refusal.value.hint


def test_insecure_must_be_named_by_the_policy_itself() -> None:
    with pytest.raises(PolicyError, match="names no variant"):
        Policy.from_mapping({}, variant=Variant.INSECURE)


def test_two_names_for_the_variant_must_agree() -> None:
    with pytest.raises(PolicyError, match="policy is for qemu-vtpm, asked was qemu-snp"):
        Policy.from_mapping(VTPM, variant=Variant.QEMU_SNP)


@pytest.mark.parametrize("data", [b"", b"[]", b'"x"', b'{"variant":"insecure","variant":"insecure"}', b"[" * 100_000])
def test_refuses_what_is_no_policy_in_json(data: bytes) -> None:
    with pytest.raises(PolicyError):
        Policy.from_json(data)


def test_refuses_an_oversized_policy() -> None:
    with pytest.raises(PolicyError, match="at most"):
        Policy.from_json(b" " * (1024 * 1024 + 1))


def test_a_policy_made_without_reading_obeys_the_same_rules() -> None:
    with pytest.raises(PolicyError, match="lacks"):
        Policy(variant=Variant.QEMU_VTPM)
    with pytest.raises(PolicyError, match="no effect"):
        Policy(variant=Variant.INSECURE, allow_debug=True)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(Variant), st.dictionaries(st.sampled_from([*FIELDS, "version"]), JSON, max_size=4))
def test_any_value_in_any_field_meets_only_our_error(variant: Variant, mapping: dict[str, Any]) -> None:
    with contextlib.suppress(PolicyError):
        Policy.from_mapping({**mapping, "variant": variant.value})


def test_the_schema_knows_every_field() -> None:
    assert set(json_schema()["properties"]) == {*FIELDS, "version", "variant"}


def test_the_schema_forbids_what_has_no_effect() -> None:
    rules = {rule["if"]["properties"]["variant"]["const"]: rule["then"] for rule in json_schema()["allOf"]}
    assert rules["qemu-vtpm"]["properties"]["vmpl"] is False
    assert rules["qemu-vtpm"]["allOf"] == [{"anyOf": [{"required": ["measurements"]}]}]


def test_registers_of_a_td_mean_nothing_without_mrtd() -> None:
    tcb = dict.fromkeys(("module", "microcode", "pce", "qe"), 0)
    mapping = {"variant": "qemu-tdx", "minimum_tcb": tcb, "crl": "off"}
    with pytest.raises(PolicyError, match="nothing about mrtd"):
        Policy.from_mapping({**mapping, "measurements": {"rtmr1": {"expected": "00" * 48, "enforced": True}}})


def test_a_register_is_named_once() -> None:
    twice = {"4": REGISTER, 4: {**REGISTER, "enforced": False}}
    with pytest.raises(PolicyError, match="each register once"):
        Policy.from_mapping({**VTPM, "measurements": twice})


def test_only_azures_paravisor_may_speak_for_the_vtpm() -> None:
    with pytest.raises(PolicyError, match="vmpl has no effect on azure-sev-snp"):
        Policy.from_mapping({"variant": "azure-sev-snp", "vmpl": [0, 2]})
