# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What kind of file is this? Decided by its first bytes, never by its name.

Recognising is not parsing: a broken report is still recognised as a report, so that its parser can say what is wrong.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from attestation.snp.certificate_table import CertificateKind
from constellation_cli.errors import CommandError
from constellation_cli.kind import Kind
from constellation_cli.mapping import looks_like_mapping, parse_mapping
from constellation_cli.quote_bundle import KEYS as QUOTE_KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Recognised:
    """A file of a known kind.

    Attributes:
        kind: what it is.
        data: its bytes, as the parsers want them.
        encoding: how they were written: "binary", "hex", "base64" or "text".
    """

    kind: Kind
    data: bytes
    encoding: str


def recognise(data: bytes, name: str) -> Recognised:
    """Find out the kind of a file.

    Args:
        data: its contents.
        name: how people know it; only for the error message.

    Raises:
        CommandError: it is of no kind that we know.
    """
    for encoding, decoded in _decodings(data):
        kind = _binary_kind(decoded) or _text_kind(decoded)
        if kind is not None:
            return Recognised(kind, _bare(kind, decoded), encoding)
    known = ", ".join(kind.title for kind in Kind)
    raise CommandError(f"{name} is of no kind that is known here{_nearly(data)}", hint=f"known kinds: {known}")


def _decodings(data: bytes) -> Iterable[tuple[str, bytes]]:
    yield ("binary" if _is_binary(data) else "text"), data
    text = b"".join(data.split())
    if re.fullmatch(rb"(?:0x)?(?:[0-9a-fA-F]{2})+", text):
        yield "hex", bytes.fromhex(text.removeprefix(b"0x").decode("ascii"))
    elif re.fullmatch(rb"[A-Za-z0-9+/]+={0,2}", text):
        try:
            yield "base64", base64.b64decode(text, validate=True)
        except binascii.Error:
            return


def _is_binary(data: bytes) -> bool:
    try:
        return "\0" in data.decode("utf-8")
    except UnicodeDecodeError:
        return True


def _bare(kind: Kind, data: bytes) -> bytes:
    """Take off the length that a TPM2B has in front."""
    return data[2:] if kind in (Kind.TPM_PUBLIC, Kind.TPM_QUOTE) and _is_sized(data) else data


def _is_sized(data: bytes) -> bool:
    return len(data) > 2 and int.from_bytes(data[:2], "big") == len(data) - 2  # noqa: PLR2004 - bytes of the length


def _nearly(data: bytes) -> str:
    for magic, what in _NEIGHBOURS.items():
        if data.startswith(magic):
            return f": it is {what}"
    return ""


# Binary files


def _binary_kind(data: bytes) -> Kind | None:
    return next((kind for kind, fits in _BINARY.items() if fits(data)), None)


def _is_snp_report(data: bytes) -> bool:
    if len(data) < _SNP_START.size:
        return False
    version, algorithm = _SNP_START.unpack_from(data)
    return bool(0 < version <= _MAX_VERSION and (algorithm == _SNP_ECDSA or len(data) == _SNP_SIZE))


def _is_quote(tee: int) -> Callable[[bytes], bool]:
    def fits(data: bytes) -> bool:
        if len(data) < _QUOTE_START.size:
            return False
        version, key_type, got, vendor = _QUOTE_START.unpack_from(data)
        known = 0 < version <= _MAX_VERSION and 0 < key_type <= _MAX_KEY_TYPE
        return bool(known and got == tee and vendor == _INTEL_QUOTING_ENCLAVE)

    return fits


def _is_tpm_structure(*numbers: int) -> Callable[[bytes], bool]:
    """Recognise a structure by its first number, and its second, which is a hash algorithm."""
    starts = tuple(struct.pack(">HH", number, algorithm) for number in numbers for algorithm in _TPM_HASHES)
    return lambda data: data.startswith(starts)


def _is_tpm_public(data: bytes) -> bool:
    fits = _is_tpm_structure(0x0001, 0x0023)
    return fits(data) or (_is_sized(data) and fits(data[2:]))


def _is_tpm_quote(data: bytes) -> bool:
    return data.startswith(_TPM_GENERATED) or (_is_sized(data) and data[2:].startswith(_TPM_GENERATED))


def _is_event_log(data: bytes) -> bool:
    if len(data) < _EVENT_HEADER.size:
        return False
    register, kind, _digest, size = _EVENT_HEADER.unpack_from(data)
    if register > _MAX_REGISTER or size > len(data) - _EVENT_HEADER.size:
        return False
    return kind in _FIRST_EVENTS or _is_crypto_agile(data)


def _is_crypto_agile(data: bytes) -> bool:
    return data[_EVENT_HEADER.size :].startswith(b"Spec ID Event")


def _is_signed_der(first_tags: tuple[int, ...]) -> Callable[[bytes], bool]:
    """Recognise SEQUENCE { SEQUENCE { first tag …, as certificates and lists are."""

    def fits(data: bytes) -> bool:
        inside = _inside_sequence(data)
        inner = _inside_sequence(inside)
        return bool(inner) and inner[0] in first_tags

    return fits


def _inside_sequence(data: bytes) -> bytes:
    if len(data) < 4 or data[0] != _SEQUENCE or data[1] not in (0x81, 0x82, 0x83):  # noqa: PLR2004 - tag and length
        return b""
    return data[2 + (data[1] & 0x7F) :]


_MAX_VERSION: Final = 255  # of any format; a greater number is chance
_SNP_SIZE: Final = 1184
_SNP_START: Final = struct.Struct("<I48xI")  # version, signature algorithm
_SNP_ECDSA: Final = 1
_CERTIFICATE_GUIDS: Final = tuple(guid for kind in CertificateKind for guid in (kind.value.bytes, kind.value.bytes_le))
_QUOTE_START: Final = struct.Struct("<HHI4x16s")  # version, type of the key, TEE, vendor
_MAX_KEY_TYPE: Final = 3
_INTEL_QUOTING_ENCLAVE: Final = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
_TPM_GENERATED: Final = bytes.fromhex("ff544347")
_TPM_HASHES: Final = (0x0004, 0x000B, 0x000C, 0x000D)
_EVENT_HEADER: Final = struct.Struct("<II20sI")  # TCG_PCR_EVENT without the event
_MAX_REGISTER: Final = 23
_FIRST_EVENTS: Final = (0x3, 0x4, 0x8)  # EV_NO_ACTION, EV_SEPARATOR, EV_S_CRTM_VERSION
_SEQUENCE: Final = 0x30

_BINARY: Final[Mapping[Kind, Callable[[bytes], bool]]] = MappingProxyType(
    {
        Kind.CERTIFICATE_TABLE: lambda data: data.startswith(_CERTIFICATE_GUIDS),
        Kind.HCL_REPORT: lambda data: data.startswith(b"HCLA"),
        Kind.TPM_QUOTE: _is_tpm_quote,
        Kind.TDX_QUOTE: _is_quote(0x81),
        Kind.SGX_QUOTE: _is_quote(0x00),
        Kind.CERTIFICATE: _is_signed_der((0xA0,)),  # [0] version
        Kind.CRL: _is_signed_der((0x02, 0x30)),  # version, or the algorithm at once
        Kind.NITRO_DOCUMENT: lambda data: data.startswith((b"\xd2\x84\x44\xa1", b"\x84\x44\xa1")),
        Kind.TPM_PUBLIC: _is_tpm_public,
        Kind.TPM_SIGNATURE: _is_tpm_structure(0x0014, 0x0016, 0x0018),
        Kind.SNP_REPORT: _is_snp_report,
        Kind.EVENT_LOG: _is_event_log,
    },
)

_NEIGHBOURS: Final[Mapping[bytes, str]] = MappingProxyType(
    {
        b"MZ": "an executable; `constellation image predict` reads unified kernel images",
        b"CCEL": "the ACPI table that points to the boot log; the log is in /sys/firmware/acpi/tables/data/CCEL",
        b"-----BEGIN": "PEM, but neither a certificate nor a revocation list",
    },
)

# Text files


def _text_kind(data: bytes) -> Kind | None:
    for begin, kind in _PEM.items():
        if begin in data and not data.lstrip().startswith(b"{"):  # JSON may hold PEM
            return kind
    if not looks_like_mapping(data.decode("utf-8", "replace")):
        return None
    mapping = parse_mapping(data)
    return next((kind for kind, fits in _MAPPINGS.items() if fits(mapping)), None)


def _is_evidence(mapping: Mapping[Any, Any]) -> bool:
    return "variant" in mapping and not _EVIDENCE_PARTS.isdisjoint(mapping)


def _is_measurements(mapping: Mapping[Any, Any]) -> bool:
    return "measurements" in mapping and not _MEASURED_IMAGE.isdisjoint(mapping)


def _is_registers(mapping: Mapping[Any, Any]) -> bool:
    names = {str(key) for key in mapping}
    return bool(names) and (names <= _BANKS or names <= _REGISTER_NAMES)


_PEM: Final[Mapping[bytes, Kind]] = MappingProxyType(
    {b"-----BEGIN CERTIFICATE-----": Kind.CERTIFICATE, b"-----BEGIN X509 CRL-----": Kind.CRL},
)
_EVIDENCE_PARTS: Final = frozenset({"tpm", "snp", "tdx", "platform"})
_MEASURED_IMAGE: Final = frozenset({"image", "stub", "uki_sha256"})
_BANKS: Final = frozenset({"sha1", "sha256", "sha384", "sha512"})
_REGISTER_NAMES: Final = frozenset(map(str, range(24)))

_MAPPINGS: Final[Mapping[Kind, Callable[[Mapping[Any, Any]], bool]]] = MappingProxyType(
    {
        Kind.EVIDENCE: _is_evidence,
        Kind.QUOTE_BUNDLE: lambda mapping: mapping.keys() >= QUOTE_KEYS,
        Kind.RUNTIME_DATA: lambda mapping: "keys" in mapping and "vm-configuration" in mapping,
        Kind.MEASUREMENTS: _is_measurements,
        Kind.POLICY: lambda mapping: "variant" in mapping or "measurements" in mapping,
        Kind.REGISTERS: _is_registers,
    },
)
