# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Where the borders of a policy are: its defaults, the last value that is read, the first that is refused."""

from __future__ import annotations

import base64
import contextlib
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from attestation import Policy, Variant
from attestation.errors import PolicyError
from attestation.policy import MAX_SIZE, json_schema
from attestation.policy_fields import FIELDS, Register, Revocation

REPOSITORY = Path(__file__).parents[3]
PEM = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"
TCB = {"bootloader": 0, "tee": 1, "snp": 2, "microcode": 65535}
TDX_TCB = {"module": 0, "microcode": 1, "pce": 2, "qe": 65535}

REGISTER = {"expected": "00" * 32, "enforced": True}

MINIMAL: dict[Variant, dict[str, Any]] = {
    Variant.QEMU_VTPM: {"measurements": {"0": REGISTER}},
    Variant.QEMU_SNP: {"launch_digests": ["00" * 48], "minimum_tcb": TCB, "crl": "off"},
    Variant.QEMU_TDX: {
        "measurements": {"mrtd": {"expected": "00" * 48, "enforced": True}},
        "minimum_tcb": TDX_TCB,
        "crl": "off",
    },
    Variant.GCP_SEV_ES: {"measurements": {"0": REGISTER}, "ak_names": ["00" * 34]},
}


def read(variant: Variant, **fields: object) -> Policy:
    return Policy.from_mapping({"variant": variant.value, **MINIMAL[variant], **fields})


def refusal(variant: Variant, **fields: object) -> PolicyError:
    with pytest.raises(PolicyError) as caught:
        read(variant, **fields)
    return caught.value


# What is written, and what the record then holds. `to_mapping` must give back exactly what was written.
GOOD: list[tuple[Variant, str, object, object]] = [
    (
        Variant.QEMU_VTPM,
        "measurements",
        {"23": {"expected": "ab" * 32, "enforced": False}},
        {"23": Register(b"\xab" * 32, enforced=False)},
    ),
    (
        Variant.QEMU_TDX,
        "measurements",
        {"mrtd": {"expected": "00" * 48, "enforced": False}, "rtmr3": {"expected": "ab" * 48, "enforced": True}},
        {"mrtd": Register(bytes(48), enforced=False), "rtmr3": Register(b"\xab" * 48, enforced=True)},
    ),
    (Variant.QEMU_SNP, "minimum_tcb", TCB, TCB),
    (Variant.QEMU_SNP, "minimum_tcb", {**TCB, "fmc": 1}, {**TCB, "fmc": 1}),
    (Variant.QEMU_TDX, "minimum_tcb", TDX_TCB, TDX_TCB),
    (Variant.QEMU_TDX, "minimum_tcb", {**TDX_TCB, "module_major": 1}, {**TDX_TCB, "module_major": 1}),
    (Variant.QEMU_SNP, "minimum_launch_tcb", TCB, TCB),
    (Variant.QEMU_SNP, "products", ["Milan", "Genoa", "Turin"], ("Milan", "Genoa", "Turin")),
    (Variant.QEMU_SNP, "platform_flags", ["sev_tio"], ("sev_tio",)),
    (Variant.QEMU_TDX, "tcb_statuses", ["UpToDate", "OutOfDate"], ("UpToDate", "OutOfDate")),
    (Variant.QEMU_SNP, "allow_debug", True, True),
    (Variant.QEMU_VTPM, "require_event_log", True, True),
    (Variant.QEMU_SNP, "vmpl", [0, 1, 2, 3], (0, 1, 2, 3)),
    (Variant.QEMU_SNP, "id_key_digests", ["ab" * 48, "cd" * 48], (b"\xab" * 48, b"\xcd" * 48)),
    (Variant.QEMU_SNP, "launch_digests", ["00" * 48] * 256, (bytes(48),) * 256),
    (Variant.QEMU_SNP, "launch_manifests", ["ab" * 32], (b"\xab" * 32,)),
    (Variant.QEMU_TDX, "launch_manifests", ["ab" * 48], (b"\xab" * 48,)),
    (Variant.QEMU_SNP, "chip_ids", ["ab" * 8, "cd" * 64], (b"\xab" * 8, b"\xcd" * 64)),
    (Variant.QEMU_TDX, "chip_ids", ["ab" * 16], (b"\xab" * 16,)),
    (Variant.QEMU_VTPM, "ak_names", ["000b" + "ab" * 32], (b"\x00\x0b" + b"\xab" * 32,)),
    (Variant.GCP_SEV_ES, "ak_roots", [PEM], (PEM.encode(),)),
    (Variant.QEMU_VTPM, "ek_roots", [PEM, PEM], (PEM.encode(),) * 2),
    (Variant.QEMU_TDX, "collateral", ["AAE="], (b"\x00\x01",)),
    (Variant.QEMU_SNP, "revocation_lists", ["AAE=", "/w=="], (b"\x00\x01", b"\xff")),
    (Variant.QEMU_SNP, "crl", "off", Revocation.OFF),
    (Variant.QEMU_SNP, "crl_max_age", "1d", timedelta(days=1)),
    (Variant.QEMU_SNP, "crl_max_age", "9999d", timedelta(days=9999)),
    (Variant.QEMU_SNP, "crl_max_age", "1h", timedelta(hours=1)),
    (Variant.QEMU_SNP, "crl_max_age", "25h", timedelta(hours=25)),
]


@pytest.mark.parametrize("variant, field, written, value", GOOD)
def test_a_field_holds_what_is_written_and_gives_it_back(
    variant: Variant, field: str, written: object, value: object
) -> None:
    policy = read(variant, **{field: written})
    assert getattr(policy, field) == value
    assert policy.to_mapping()[field] == written
    assert type(policy.to_mapping()[field]) is type(written)


def test_hexadecimal_digits_may_be_upper_case() -> None:
    assert read(Variant.QEMU_SNP, launch_digests=["Ab" * 48]).launch_digests == (b"\xab" * 48,)


def test_a_full_number_of_days_is_shown_in_days() -> None:
    assert read(Variant.QEMU_SNP, crl_max_age="48h").to_mapping()["crl_max_age"] == "2d"


def test_lists_may_be_required() -> None:
    policy = read(Variant.QEMU_SNP, crl="required", revocation_lists=["AAE="])
    assert policy.crl is Revocation.REQUIRED
    assert str(policy.crl) == "required"
    assert "crl" not in policy.to_mapping()


def test_collateral_holds_lists_too() -> None:
    assert read(Variant.QEMU_TDX, crl="required", collateral=["AAE="]).crl is Revocation.REQUIRED
    assert "holds none" in str(refusal(Variant.QEMU_TDX, crl="required"))


TDX_REGISTER = {"expected": "00" * 48, "enforced": True}
LONG, SHORT = ["00" * 48] * 257, "0" * 95

# The first values behind each border, and what the refusal must name.
BAD: list[tuple[Variant, str, str, list[object]]] = [
    (Variant.QEMU_VTPM, "measurements", "measurements:", [{}, [], "", 0, None]),
    (Variant.QEMU_VTPM, "measurements", "measurements:", [{"24": REGISTER}, {"-1": REGISTER}, {"04": REGISTER}]),
    (Variant.QEMU_TDX, "measurements", "measurements:", [{"0": TDX_REGISTER}, {"rtmr4": TDX_REGISTER}]),
    (
        Variant.QEMU_VTPM,
        "measurements",
        "measurements.4:",
        [{"4": []}, {"4": {}}, {"4": {"expected": "00" * 32}}, {"4": {"enforced": True}}, {"4": {**REGISTER, "x": 0}}],
    ),
    (
        Variant.QEMU_VTPM,
        "measurements",
        "measurements.4.expected:",
        [{"4": {**REGISTER, "expected": value}} for value in (0, None, "", "00" * 31, "00" * 33, "00" * 48)],
    ),
    (
        Variant.QEMU_TDX,
        "measurements",
        "measurements.mrtd.expected:",
        [{"mrtd": {**TDX_REGISTER, "expected": value}} for value in ("00" * 32, "00" * 47, "00" * 49)],
    ),
    (
        Variant.QEMU_VTPM,
        "measurements",
        "measurements.4.enforced:",
        [{"4": {**REGISTER, "enforced": value}} for value in (0, 1, "true", None)],
    ),
    (Variant.QEMU_SNP, "minimum_tcb", "minimum_tcb:", [{}, [], "", 0, ["snp"], [*TCB], {**TCB, "module": 0}]),
    (
        Variant.QEMU_SNP,
        "minimum_tcb",
        "minimum_tcb.snp:",
        [{**TCB, "snp": value} for value in (-1, 65536, 1.0, True, None)],
    ),
    (Variant.QEMU_SNP, "minimum_tcb", "minimum_tcb lacks bootloader, tee, snp, microcode", [{"fmc": 0}]),
    (Variant.QEMU_TDX, "minimum_tcb", "minimum_tcb lacks module, microcode, pce, qe", [{"module_major": 0}]),
    (Variant.QEMU_TDX, "minimum_tcb", "minimum_tcb:", [{}, {**TDX_TCB, "snp": 0}]),
    (Variant.QEMU_SNP, "products", "products:", [[], ["milan"], [0], ["Milan", None], "Milan"]),
    (Variant.QEMU_SNP, "allow_debug", "allow_debug:", [0, 1, "true", None]),
    (Variant.QEMU_SNP, "vmpl", "vmpl:", [[], [-1], [4], [0, 4], [True], ["0"], 0, [0] * 257]),
    (Variant.QEMU_SNP, "launch_digests", "launch_digests:", ["", 0, {}, [], LONG, [0], [None], [""], [SHORT]]),
    (Variant.QEMU_SNP, "launch_digests", "launch_digests:", [[SHORT + end] for end in ("00", "g", "\n", "0\n")]),
    (Variant.QEMU_SNP, "launch_manifests", "launch_manifests:", [["00" * 48], ["00" * 31], ["00" * 33]]),
    (Variant.QEMU_TDX, "launch_manifests", "launch_manifests:", [["00" * 32], ["00" * 47], ["00" * 49]]),
    (Variant.QEMU_SNP, "chip_ids", "chip_ids:", [["00" * width] for width in (0, 7, 9, 16, 63, 65)]),
    (Variant.QEMU_TDX, "chip_ids", "chip_ids:", [["00" * width] for width in (0, 8, 15, 17, 64)]),
    (Variant.QEMU_VTPM, "ek_roots", "ek_roots:", [PEM, [], [0], [None], [""], ["AA=="], [f"ö{PEM}"]]),
    (
        Variant.QEMU_SNP,
        "revocation_lists",
        "revocation_lists:",
        ["AA==", [], 5, [0], [None], ["A"], ["AA="], ["A\nA=="]],
    ),
    (Variant.QEMU_SNP, "crl", "crl:", [True, None, 0, "", "OFF", "Required", []]),
    (Variant.QEMU_SNP, "crl_max_age", "crl_max_age:", ["0d", "10000d", "01d", "1", "d", "1w", "1D", "1dh", "1d\n"]),
    (Variant.QEMU_SNP, "crl_max_age", "crl_max_age:", ["-1d", "1.5d", " 1d", 1, None, []]),
]


@pytest.mark.parametrize("variant, field, named, values", BAD)
def test_a_value_behind_a_border_is_refused_by_name(
    variant: Variant, field: str, named: str, values: list[object]
) -> None:
    for value in values:
        assert f"policy field {named}" in str(refusal(variant, **{field: value}))


WRONG: list[object] = [None, True, 0, -1, 1.5, "", "x", [], [None], [0], ["x"], [[]], {}, {"x": 0}, {"4": 0}]


@pytest.mark.parametrize("variant", MINIMAL)
@pytest.mark.parametrize("field", FIELDS)
def test_a_value_of_any_shape_meets_only_our_error(variant: Variant, field: str) -> None:
    for value in WRONG:
        with contextlib.suppress(PolicyError):
            read(variant, **{field: value})


STRICT = {"vmpl": (0,), "tcb_statuses": ("UpToDate",), "crl": Revocation.REQUIRED, "crl_max_age": timedelta(days=30)}


@pytest.mark.parametrize("field", FIELDS)
def test_nothing_is_allowed_by_default(field: str) -> None:
    policy = Policy(variant=Variant.INSECURE)
    switch = field.startswith(("allow_", "require_", "not_"))
    empty: object = {} if field in ("measurements", "minimum_tcb", "minimum_launch_tcb") else ()
    assert getattr(policy, field) == (False if switch else STRICT.get(field, empty))


@pytest.mark.parametrize("field", ["measurements", "minimum_tcb", "minimum_launch_tcb"])
def test_a_policy_does_not_change_after_it_was_made(field: str) -> None:
    source = {"4": Register(bytes(32), enforced=True)}
    policy = replace(Policy(variant=Variant.QEMU_VTPM, measurements=source))
    source.clear()
    assert policy.measurements
    with pytest.raises(TypeError, match="item assignment"):
        getattr(policy, field)["5"] = 0


def test_the_same_variant_may_be_named_twice() -> None:
    mapping = {"variant": "qemu-vtpm", **MINIMAL[Variant.QEMU_VTPM]}
    assert Policy.from_mapping(mapping, variant=Variant.QEMU_VTPM).variant is Variant.QEMU_VTPM


def test_a_refusal_names_field_and_variant() -> None:
    assert "vmpl has no effect on qemu-vtpm" in str(refusal(Variant.QEMU_VTPM, vmpl=[0]))
    with pytest.raises(PolicyError, match="allow_debug has no effect on insecure"):
        Policy(variant=Variant.INSECURE, allow_debug=True)


@pytest.mark.parametrize("mapping", [None, 0, "variant", ["variant"], [("variant", "insecure")]])
def test_what_is_no_mapping_is_refused(mapping: object) -> None:
    with pytest.raises(PolicyError, match="mapping from field names"):
        Policy.from_mapping(cast("dict[str, Any]", mapping))


@pytest.mark.parametrize("key", [0, None, ("vmpl",)])
def test_a_key_that_is_no_text_is_refused(key: object) -> None:
    mapping: dict[Any, Any] = {"variant": "qemu-vtpm", **MINIMAL[Variant.QEMU_VTPM], key: 1}
    with pytest.raises(PolicyError, match="mapping from field names"):
        Policy.from_mapping(mapping)


def as_json(variant: Variant) -> bytes:
    return json.dumps({"variant": variant.value, **MINIMAL[variant]}).encode()


@pytest.mark.parametrize("variant", MINIMAL)
def test_json_says_the_same_as_a_mapping(variant: Variant) -> None:
    assert Policy.from_json(as_json(variant)) == read(variant)


def test_json_must_be_for_the_variant_that_is_asked() -> None:
    with pytest.raises(PolicyError, match="asked was qemu-snp"):
        Policy.from_json(as_json(Variant.QEMU_VTPM), variant=Variant.QEMU_SNP)


def test_the_largest_policy_is_read_and_one_byte_more_is_refused() -> None:
    largest = as_json(Variant.QEMU_VTPM).ljust(MAX_SIZE)
    assert len(largest) == 1024 * 1024
    assert Policy.from_json(largest) == read(Variant.QEMU_VTPM)
    with pytest.raises(PolicyError, match="at most 1048576 are read"):
        Policy.from_json(largest + b" ")


def test_brackets_are_counted_wherever_they_are() -> None:
    def policy(count: int) -> bytes:
        text = json.dumps({"variant": "qemu-vtpm", **MINIMAL[Variant.QEMU_VTPM], "ek_roots": [PEM]})
        return text.replace("-----END", "[" * (count - text.count("{") - text.count("[")) + "-----END").encode()

    assert Policy.from_json(policy(256)).ek_roots
    with pytest.raises(PolicyError, match=r"^policy is nested too deep"):
        Policy.from_json(policy(257))


def test_a_key_that_appears_twice_is_refused_wherever_it_is() -> None:
    register = b'{"expected":"00","expected":"' + b"00" * 32 + b'","enforced":true}'
    with pytest.raises(PolicyError, match="twice"):
        Policy.from_json(b'{"variant":"qemu-vtpm","measurements":{"4":' + register + b"}}")


def test_a_policy_says_its_version() -> None:
    assert read(Variant.QEMU_VTPM).to_mapping() == {
        "version": 1,
        "variant": "qemu-vtpm",
        **MINIMAL[Variant.QEMU_VTPM],
    }


def test_the_version_may_be_written_and_must_be_ours() -> None:
    assert read(Variant.QEMU_VTPM, version=1) == read(Variant.QEMU_VTPM)
    assert "version is 0, expected 1" in str(refusal(Variant.QEMU_VTPM, version=0))


def test_the_published_schema_is_this_one() -> None:
    published = (REPOSITORY / "docs" / "policy.schema.json").read_text(encoding="utf-8")
    assert json_schema() == json.loads(published)


def test_certificates_and_lists_travel_as_they_are() -> None:
    data = bytes(range(256))
    policy = read(Variant.QEMU_SNP, revocation_lists=[base64.b64encode(data).decode()])
    assert policy.revocation_lists == (data,)
