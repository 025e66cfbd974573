# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Evidence: what the devices of one node signed, and its canonical JSON.

Canonical means: keys sorted, no white space, ASCII, standard base64 with padding. Two equal records have equal bytes,
and parsing then printing gives the same bytes back. Parsing is strict: unknown or repeated keys, wrong types and
oversized input are refused, because a field that one reader skips and another obeys is a hole.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from attestation.errors import MalformedError
from attestation.strict_json import load_object
from attestation.variant import Variant

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from collections.abc import Set as AbstractSet

_Part = TypeVar("_Part")

EVIDENCE_VERSION: Final = 1
MAX_SIZE: Final = 1024 * 1024  # bytes of JSON; also the frame limit of the attested channel
MAX_BRACKETS: Final = 64  # a well-formed record has fewer than ten, nested four deep
MAX_CERTIFICATES: Final = 8
MAX_PLATFORM_PARTS: Final = 16
PCR_COUNT: Final = 24
PCR_SIZE: Final = 32


@dataclass(frozen=True, slots=True)
class TpmEvidence:
    """What a TPM signed.

    Attributes:
        attest: TPMS_ATTEST of a quote.
        signature: TPMT_SIGNATURE over it.
        pcrs: SHA-256 bank, index → 32 bytes; exactly the registers of the quote.
        ak_public: TPMT_PUBLIC of the attestation key; empty where the platform names the key and hides its template.
        event_log: boot log as the firmware wrote it; may be empty.
    """

    attest: bytes
    signature: bytes
    pcrs: Mapping[int, bytes]
    ak_public: bytes = b""
    event_log: bytes = b""

    def __post_init__(self) -> None:
        """Freeze the registers and check their shape."""
        for index, value in self.pcrs.items():
            if not 0 <= index < PCR_COUNT or len(value) != PCR_SIZE:
                raise MalformedError(
                    f"evidence: PCR {index} has {len(value)} bytes; expected an index below {PCR_COUNT} and 32 bytes",
                )
        object.__setattr__(self, "pcrs", MappingProxyType(dict(sorted(self.pcrs.items()))))

    def __hash__(self) -> int:
        """Hash by what was signed."""
        return hash((self.attest, self.signature, self.ak_public))


@dataclass(frozen=True, slots=True)
class SnpEvidence:
    """What an AMD secure processor signed.

    Attributes:
        report: attestation report, 1184 bytes.
        certificates: DER; VCEK or VLEK first, then ASK/ASVK and ARK where the node sends them.
    """

    report: bytes
    certificates: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class TdxEvidence:
    """What Intel's quoting enclave signed.

    Attributes:
        quote: TD quote, version 4 or 5, with its PCK chain inside.
    """

    quote: bytes


@dataclass(frozen=True, slots=True)
class Evidence:
    """All evidence of one node at one moment.

    Attributes:
        variant: the platform; it decides which verifier judges.
        tpm: part of the TPM, if the variant has one.
        snp: part of the AMD secure processor.
        tdx: part of the Intel quoting enclave.
        platform: what a cloud adds, by name ("runtime_data", "ak_certificate", "ccel").
    """

    variant: Variant
    tpm: TpmEvidence | None = None
    snp: SnpEvidence | None = None
    tdx: TdxEvidence | None = None
    platform: Mapping[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Freeze the platform's part."""
        object.__setattr__(self, "platform", MappingProxyType(dict(sorted(self.platform.items()))))

    def __hash__(self) -> int:
        """Hash by the parts that are signed."""
        return hash((self.variant, self.tpm, self.snp, self.tdx))

    def digest(self) -> bytes:
        """SHA-256 of the canonical JSON."""
        return hashlib.sha256(self.to_json()).digest()

    def to_json(self) -> bytes:
        """Give the canonical JSON."""
        record: dict[str, Any] = {"version": EVIDENCE_VERSION, "variant": self.variant.value}
        if self.tpm is not None:
            record["tpm"] = {
                "ak_public": _encode(self.tpm.ak_public),
                "attest": _encode(self.tpm.attest),
                "event_log": _encode(self.tpm.event_log),
                "pcrs": {str(index): _encode(value) for index, value in self.tpm.pcrs.items()},
                "signature": _encode(self.tpm.signature),
            }
        if self.snp is not None:
            record["snp"] = {
                "certificates": [_encode(certificate) for certificate in self.snp.certificates],
                "report": _encode(self.snp.report),
            }
        if self.tdx is not None:
            record["tdx"] = {"quote": _encode(self.tdx.quote)}
        if self.platform:
            record["platform"] = {name: _encode(value) for name, value in self.platform.items()}
        return json.dumps(record, sort_keys=True, separators=(",", ":")).encode("ascii")

    @classmethod
    def from_json(cls, data: bytes) -> Evidence:
        """Parse the JSON of a record.

        Raises:
            MalformedError: it is not our JSON, is too large or too deep, or holds a key we do not know.
        """
        record = load_object(data, "evidence", max_size=MAX_SIZE, max_brackets=MAX_BRACKETS, encoding="ascii")
        _object(record, "evidence", required={"version", "variant"}, optional={"tpm", "snp", "tdx", "platform"})
        if type(record["version"]) is not int or record["version"] != EVIDENCE_VERSION:
            raise MalformedError(f"evidence: version is {record['version']!r}, expected {EVIDENCE_VERSION}")
        return cls(
            variant=_variant(record["variant"]),
            tpm=_part(record, "tpm", _tpm),
            snp=_part(record, "snp", _snp),
            tdx=_part(record, "tdx", _tdx),
            platform=_part(record, "platform", _platform) or {},
        )


def _object(
    record: object,
    where: str,
    *,
    required: set[str],
    optional: AbstractSet[str] = frozenset(),
) -> dict[str, object]:
    if not isinstance(record, dict):
        raise MalformedError(f"{where}: expected an object")
    if missing := required - record.keys():
        raise MalformedError(f"{where}: missing {', '.join(sorted(missing))}")
    if unknown := record.keys() - required - optional:
        raise MalformedError(f"{where}: unknown key {', '.join(sorted(map(repr, unknown)))}")
    return record


def _part(record: dict[str, Any], name: str, parse: Callable[[object], _Part]) -> _Part | None:
    return parse(record[name]) if name in record else None


def _tpm(record: object) -> TpmEvidence:
    part = _object(record, "evidence.tpm", required={"ak_public", "attest", "event_log", "pcrs", "signature"})
    pcrs = part["pcrs"]
    if not isinstance(pcrs, dict) or any(name not in _PCR_NAMES for name in pcrs):
        raise MalformedError(f"evidence.tpm.pcrs: expected an object with keys 0 to {PCR_COUNT - 1}")
    return TpmEvidence(
        attest=_decode(part["attest"], "evidence.tpm.attest"),
        signature=_decode(part["signature"], "evidence.tpm.signature"),
        pcrs={int(name): _decode(value, f"evidence.tpm.pcrs.{name}") for name, value in pcrs.items()},
        ak_public=_decode(part["ak_public"], "evidence.tpm.ak_public"),
        event_log=_decode(part["event_log"], "evidence.tpm.event_log"),
    )


def _snp(record: object) -> SnpEvidence:
    part = _object(record, "evidence.snp", required={"certificates", "report"})
    certificates = part["certificates"]
    if not isinstance(certificates, list) or len(certificates) > MAX_CERTIFICATES:
        raise MalformedError(f"evidence.snp.certificates: expected at most {MAX_CERTIFICATES} certificates")
    return SnpEvidence(
        report=_decode(part["report"], "evidence.snp.report"),
        certificates=tuple(_decode(value, "evidence.snp.certificates") for value in certificates),
    )


def _tdx(record: object) -> TdxEvidence:
    part = _object(record, "evidence.tdx", required={"quote"})
    return TdxEvidence(quote=_decode(part["quote"], "evidence.tdx.quote"))


def _platform(record: object) -> dict[str, bytes]:
    if not isinstance(record, dict) or not 0 < len(record) <= MAX_PLATFORM_PARTS:
        raise MalformedError(f"evidence.platform: expected an object with 1 to {MAX_PLATFORM_PARTS} parts")
    return {name: _decode(value, f"evidence.platform.{name}") for name, value in record.items()}


def _variant(name: object) -> Variant:
    try:
        return Variant(name)
    except ValueError:
        known = ", ".join(variant.value for variant in Variant)
        raise MalformedError(f"evidence: unknown variant {name!r}", hint=f"known variants: {known}") from None


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _decode(text: object, where: str) -> bytes:
    if not isinstance(text, str):
        raise MalformedError(f"{where}: expected base64 text")
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise MalformedError(f"{where}: not base64") from None
    # Base64 has several spellings of the same bytes (spare bits, missing padding); only one is canonical.
    if _encode(data) != text:
        raise MalformedError(f"{where}: base64 is not canonical")
    return data


_PCR_NAMES = frozenset(str(index) for index in range(PCR_COUNT))
