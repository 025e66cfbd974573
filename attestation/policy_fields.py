# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Every field of a policy: its shape, and the variants on which it takes effect.

A field that is missing for a variant here is refused there. A property test walks fields × variants and shows that
each either changes a verdict or is refused.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from attestation.errors import PolicyError
from attestation.snp.product import TCB_COMPONENTS, Product
from attestation.snp.report import PLATFORM_FLAGS
from attestation.variant import Technology, Variant

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_ENTRIES: Final = 256  # in any list of a policy


class Revocation(StrEnum):
    """What happens without a fresh revocation list."""

    REQUIRED = "required"
    OFF = "off"


class TcbStatus(StrEnum):
    """Intel's words for the state of a platform, as in TCB info."""

    UP_TO_DATE = "UpToDate"
    SW_HARDENING_NEEDED = "SWHardeningNeeded"
    CONFIGURATION_NEEDED = "ConfigurationNeeded"
    CONFIGURATION_AND_SW_HARDENING_NEEDED = "ConfigurationAndSWHardeningNeeded"
    OUT_OF_DATE = "OutOfDate"
    OUT_OF_DATE_CONFIGURATION_NEEDED = "OutOfDateConfigurationNeeded"


@dataclass(frozen=True, slots=True)
class Register:
    """What is expected of a PCR, MRTD or RTMR.

    Attributes:
        expected: 32 bytes for a PCR, 48 for TDX.
        enforced: a mismatch refuses; otherwise it warns.
    """

    expected: bytes
    enforced: bool


class Shape(NamedTuple):
    """How a field is written.

    Attributes:
        parse: plain value, field name, variant → value in the record; raises PolicyError.
        show: value in the record → plain value.
        schema: JSON Schema of the plain value.
    """

    parse: Callable[[Any, str, Variant], Any]
    show: Callable[[Any], Any]
    schema: Mapping[str, Any]


class FieldSpec(NamedTuple):
    """One field of a policy."""

    description: str
    shape: Shape
    variants: frozenset[Variant]


TDX_TCB: Final = ("module", "module_major", "microcode", "pce", "qe")


def _wrong(name: str, expected: str, got: object) -> PolicyError:
    return PolicyError(f"policy field {name}: expected {expected}, got {got!r}")


def _hex(value: object, name: str, widths: tuple[int, ...]) -> bytes:
    lengths = [2 * width for width in widths]
    expected = f"{' or '.join(map(str, lengths))} hexadecimal digits"
    if not isinstance(value, str):
        raise _wrong(name, expected, value)
    if len(value) not in lengths or not re.fullmatch("[0-9a-fA-F]*", value):
        got = f"{len(value)} characters, {value[:16]!r}…" if value else "nothing"
        raise PolicyError(f"policy field {name}: expected {expected}, got {got}")
    return bytes.fromhex(value)


def _list(value: object, name: str) -> list[Any]:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_ENTRIES:
        raise _wrong(name, f"a list with 1 to {MAX_ENTRIES} entries", value)
    return value


def _digests(widths: Callable[[Variant], tuple[int, ...]], pattern: str) -> Shape:
    def parse(value: object, name: str, variant: Variant) -> tuple[bytes, ...]:
        return tuple(_hex(entry, name, widths(variant)) for entry in _list(value, name))

    schema = {"type": "array", "minItems": 1, "maxItems": MAX_ENTRIES, "items": {"type": "string", "pattern": pattern}}
    return Shape(parse, lambda value: [entry.hex() for entry in value], schema)


def _fixed(width: int) -> Shape:
    return _digests(lambda _variant: (width,), f"^[0-9a-fA-F]{{{2 * width}}}$")


def _names(choices: type[StrEnum] | tuple[str, ...]) -> Shape:
    known = tuple(str(choice) for choice in choices)

    def parse(value: object, name: str, _variant: Variant) -> tuple[str, ...]:
        entries = _list(value, name)
        for entry in entries:
            if entry not in known:
                raise _wrong(name, f"names out of {', '.join(known)}", entry)
        return tuple(entries)

    return Shape(parse, list, {"type": "array", "minItems": 1, "items": {"enum": list(known)}})


def _parse_flag(value: object, name: str, _variant: Variant) -> bool:
    if not isinstance(value, bool):
        raise _wrong(name, "true or false", value)
    return value


def _parse_measurements(value: object, name: str, variant: Variant) -> dict[str, Register]:
    if not isinstance(value, dict) or not value:
        raise _wrong(name, "a mapping from register to {expected, enforced}", value)
    registers: dict[str, Register] = {}
    for key, entry in value.items():
        register = str(key)  # YAML gives integers
        where = f"{name}.{register}"
        if register not in variant.registers:
            raise _wrong(name, f"registers of {variant}: {', '.join(variant.registers)}", key)
        if not isinstance(entry, dict) or entry.keys() != {"expected", "enforced"}:
            raise _wrong(where, "{expected: hex, enforced: true or false}", entry)
        if register in registers:
            raise _wrong(name, "each register once", key)
        registers[register] = Register(
            _hex(entry["expected"], f"{where}.expected", _register_widths(variant)),
            _parse_flag(entry["enforced"], f"{where}.enforced", variant),
        )
    return registers


def _register_widths(variant: Variant) -> tuple[int, ...]:
    # The document of the Nitro system holds the SHA-384 bank, the quote beside it SHA-256.
    return (32, 48) if variant is Variant.AWS_NITRO_TPM else (variant.register_width,)


def _show_measurements(value: Mapping[str, Register]) -> dict[str, Any]:
    return {name: {"expected": entry.expected.hex(), "enforced": entry.enforced} for name, entry in value.items()}


def _parse_tcb(value: object, name: str, variant: Variant) -> dict[str, int]:
    known = TCB_COMPONENTS if Technology.SNP in variant.technologies else TDX_TCB
    if not isinstance(value, dict) or not value:
        raise _wrong(name, f"a mapping with {', '.join(known)}", value)
    if missing := [component for component in known if component not in (*value, *_OPTIONAL_TCB)]:
        raise PolicyError(
            f"policy field {name} lacks {', '.join(missing)}",
            hint="name every component; 0 accepts any version",
        )
    for component, version in value.items():
        if component not in known:
            raise _wrong(name, f"components out of {', '.join(known)}", component)
        if type(version) is not int or not 0 <= version <= _MAX_SVN:
            raise _wrong(f"{name}.{component}", f"a number from 0 to {_MAX_SVN}", version)
    return dict(value)


def _parse_vmpl(value: object, name: str, _variant: Variant) -> tuple[int, ...]:
    levels = _list(value, name)
    for level in levels:
        if type(level) is not int or level not in range(4):
            raise _wrong(name, "levels from 0 to 3", level)
    return tuple(levels)


def _parse_pem(value: object, name: str, _variant: Variant) -> tuple[bytes, ...]:
    entries = _list(value, name)
    for entry in entries:
        if not isinstance(entry, str) or not entry.isascii() or "-----BEGIN CERTIFICATE-----" not in entry:
            raise _wrong(name, "certificates in PEM", entry)
    return tuple(entry.encode("ascii") for entry in entries)


def _parse_base64(value: object, name: str, _variant: Variant) -> tuple[bytes, ...]:
    try:
        return tuple(base64.b64decode(entry, validate=True) for entry in _list(value, name))
    except (TypeError, ValueError):
        raise _wrong(name, "base64 text", value) from None


def _parse_revocation(value: object, name: str, _variant: Variant) -> Revocation:
    # YAML 1.1 reads a bare `off` as false, and the word must mean the same in both notations.
    if value is False or value == "off":
        return Revocation.OFF
    if value != "required":
        raise _wrong(name, "required or off", value)
    return Revocation.REQUIRED


def _parse_age(value: object, name: str, _variant: Variant) -> timedelta:
    match = re.fullmatch(r"([1-9][0-9]{0,3})([dh])", value) if isinstance(value, str) else None
    if match is None:
        raise _wrong(name, "a duration such as 30d or 12h", value)
    count = int(match[1])
    return timedelta(days=count) if match[2] == "d" else timedelta(hours=count)


def _show_age(value: timedelta) -> str:
    hours = int(value.total_seconds()) // 3600
    return f"{hours}h" if hours % 24 else f"{hours // 24}d"


_MAX_SVN: Final = 65535
_OPTIONAL_TCB: Final = ("fmc", "module_major")  # only some products have them
_FLAG: Final = Shape(_parse_flag, bool, {"type": "boolean"})
_REGISTER_SCHEMA: Final = {
    "type": "object",
    "properties": {
        "expected": {"type": "string", "pattern": "^([0-9a-fA-F]{64}|[0-9a-fA-F]{96})$"},
        "enforced": {"type": "boolean"},
    },
    "required": ["expected", "enforced"],
    "additionalProperties": False,
}
_MEASUREMENTS: Final = Shape(
    _parse_measurements,
    _show_measurements,
    {"type": "object", "minProperties": 1, "additionalProperties": _REGISTER_SCHEMA},
)
_TCB: Final = Shape(
    _parse_tcb,
    dict,
    {
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"enum": sorted({*TCB_COMPONENTS, *TDX_TCB})},
        "additionalProperties": {"type": "integer", "minimum": 0, "maximum": _MAX_SVN},
    },
)
_VMPL: Final = Shape(
    _parse_vmpl, list, {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 0, "maximum": 3}}
)
_PEM: Final = Shape(
    _parse_pem,
    lambda value: [entry.decode("ascii") for entry in value],
    {"type": "array", "minItems": 1, "items": {"type": "string", "pattern": "-----BEGIN CERTIFICATE-----"}},
)
_BASE64: Final = Shape(
    _parse_base64,
    lambda value: [base64.b64encode(entry).decode("ascii") for entry in value],
    {"type": "array", "minItems": 1, "items": {"type": "string", "contentEncoding": "base64"}},
)
_REVOCATION: Final = Shape(_parse_revocation, str, {"enum": ["required", "off"]})
_AGE: Final = Shape(_parse_age, _show_age, {"type": "string", "pattern": "^[1-9][0-9]{0,3}[dh]$"})

_TPM: Final = Variant.with_technology(Technology.TPM)
_ALL: Final = frozenset(Variant)
_SNP: Final = Variant.with_technology(Technology.SNP)
_TDX: Final = Variant.with_technology(Technology.TDX)
_VENDOR_CHAIN: Final = _SNP | _TDX
_AK_CERTIFICATE: Final = frozenset(
    {Variant.AZURE_TRUSTED_LAUNCH, Variant.AWS_NITRO_TPM, Variant.GCP_SEV_SNP, Variant.GCP_SEV_ES},
)


def _manifest_width(variant: Variant) -> tuple[int, ...]:
    return (48,) if Technology.TDX in variant.technologies else (32,)


def _chip_width(variant: Variant) -> tuple[int, ...]:
    return (16,) if Technology.TDX in variant.technologies else (8, 64)


FIELDS: Final[Mapping[str, FieldSpec]] = MappingProxyType(
    {
        "measurements": FieldSpec(
            "Expected registers: PCR index (SHA-256 bank), or mrtd and rtmr0 to rtmr3.", _MEASUREMENTS, _TPM | _TDX
        ),
        "not_for_secrets": FieldSpec(
            "What is accepted lets people in, as images for debugging do: every verdict says so.", _FLAG, _ALL
        ),
        "minimum_tcb": FieldSpec(
            "Lowest security version of each component that the evidence may report.", _TCB, _VENDOR_CHAIN
        ),
        "minimum_launch_tcb": FieldSpec("Lowest TCB at the launch of the guest.", _TCB, _SNP),
        "products": FieldSpec("Accepted AMD product lines; default: all known.", _names(Product), _SNP),
        "allow_report_v2": FieldSpec(
            "Accept reports of version 2, in which only the certificate names the product.", _FLAG, _SNP
        ),
        "allow_debug": FieldSpec(
            "Accept guests whose memory the host may read. Never in production.", _FLAG, _VENDOR_CHAIN
        ),
        "allow_smt": FieldSpec("Accept guests that may run beside another on the same core.", _FLAG, _SNP),
        "allow_unknown_bits": FieldSpec(
            "Accept reports with bits that this release does not know, such as those of newer firmware.", _FLAG, _SNP
        ),
        "vmpl": FieldSpec(
            "Accepted privilege levels of who asked for the report; default: 0.",
            _VMPL,
            # On Azure only the paravisor, at level 0, may say which key is the vTPM's.
            _SNP - {Variant.AZURE_SEV_SNP},
        ),
        "id_key_digests": FieldSpec("Accepted SHA-384 digests of the ID key.", _fixed(48), _SNP),
        "author_key_digests": FieldSpec("Accepted SHA-384 digests of the author key.", _fixed(48), _SNP),
        "launch_digests": FieldSpec(
            "Accepted launch measurements: MEASUREMENT of SNP; MRTD of the paravisor on Azure TDX.",
            _fixed(48),
            _SNP | {Variant.AZURE_TDX},
        ),
        "launch_manifests": FieldSpec(
            "Accepted digests of the launch manifest: HOST_DATA (SHA-256) or MRCONFIGID (SHA-384).",
            _digests(_manifest_width, "^([0-9a-fA-F]{64}|[0-9a-fA-F]{96})$"),
            frozenset({Variant.QEMU_SNP, Variant.QEMU_TDX}),
        ),
        "chip_ids": FieldSpec(
            "Accepted chips: CHIP_ID of SNP (64 bytes, Turin also 8), PPID of TDX (16 bytes).",
            _digests(_chip_width, "^([0-9a-fA-F]{16}|[0-9a-fA-F]{32}|[0-9a-fA-F]{128})$"),
            _VENDOR_CHAIN,
        ),
        "platform_flags": FieldSpec("Flags of PLATFORM_INFO that must be set.", _names(PLATFORM_FLAGS), _SNP),
        "ak_names": FieldSpec("Accepted TPM Names of attestation keys (000b and SHA-256).", _fixed(34), _TPM),
        "allow_unlisted_ak": FieldSpec(
            "Accept an attestation key for which only the instance's own software speaks.",
            _FLAG,
            frozenset({Variant.AWS_SEV_SNP}),
        ),
        "ak_roots": FieldSpec("Roots for the certificate of the attestation key.", _PEM, _AK_CERTIFICATE),
        "ek_roots": FieldSpec(
            "Roots for the certificate of the endorsement key.",
            _PEM,
            frozenset({Variant.QEMU_VTPM, Variant.OPENSTACK_VTPM}),
        ),
        "require_event_log": FieldSpec("Refuse evidence without a boot log.", _FLAG, _TPM | _TDX),
        "mr_seams": FieldSpec("Accepted measurements of the TDX module.", _fixed(48), _TDX),
        "td_attributes": FieldSpec("Accepted TD attributes, 8 bytes as in the quote.", _fixed(8), _TDX),
        "xfams": FieldSpec("Accepted XFAM, 8 bytes as in the quote.", _fixed(8), _TDX),
        "collateral": FieldSpec("Intel's signed TCB info, QE identity and lists, as JSON in base64.", _BASE64, _TDX),
        "tcb_statuses": FieldSpec("Accepted states of the platform by Intel's collateral.", _names(TcbStatus), _TDX),
        "crl": FieldSpec("Whether fresh revocation lists are required; default: required.", _REVOCATION, _VENDOR_CHAIN),
        "crl_max_age": FieldSpec("Oldest accepted revocation list; default: 30d.", _AGE, _VENDOR_CHAIN),
        "revocation_lists": FieldSpec("Revocation lists of the vendor, DER in base64.", _BASE64, _VENDOR_CHAIN),
    },
)
