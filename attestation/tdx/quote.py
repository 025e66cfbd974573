# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The TD quote: bytes to record, no cryptography.

After Intel, "TDX DCAP: Quote Generation Library and Quote Verification Library", appendix "Quote format", versions 4
and 5; the enclave's report after the Intel SDM, volume 3D, table REPORT. Integers are little endian.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from attestation.errors import MalformedError
from attestation.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_SIZE: Final = 64 * 1024  # bytes; real quotes have about 5 KiB, buffers of drivers up to 32 KiB
MAX_CERTIFICATES: Final = 8
MAX_CHAIN_SIZE: Final = 32 * 1024  # bytes of PEM

TEE_SGX: Final = 0x00
TEE_TDX: Final = 0x81
ECDSA_P256: Final = 2
CERTIFICATION_QE_REPORT: Final = 6  # certification data: a quoting enclave's report, and what certifies that
CERTIFICATION_PCK_CHAIN: Final = 5  # certification data: PEM of leaf, intermediate and root

VERSION_4: Final = 4
VERSION_5: Final = 5
POINT_SIZE: Final = 64  # bytes of a P-256 point (x, y) or signature (r, s), big endian
_HEADER: Final = Struct("<HHI4s16s20s")
_BODY: Final = Struct("<HI")
_ENCLAVE_REPORT: Final = Struct("<16s4s28s16s32s32s32s96sHH60s64s")

_PEM_BEGIN: Final = b"-----BEGIN CERTIFICATE-----"
_PEM_END: Final = b"-----END CERTIFICATE-----"
_VERSIONS: Final = (VERSION_4, VERSION_5)
_SGX_VERSIONS: Final = (3, *_VERSIONS)


class BodyType(IntEnum):
    """What the body of a quote of version 5 is."""

    SGX = 1
    TD_1_0 = 2
    TD_1_5 = 3
    TD_1_5_EXTENDED = 4


_TD_REPORTS: Final[Mapping[BodyType, Struct]] = MappingProxyType(
    {
        BodyType.TD_1_0: Struct("<16s48s48s8s8s8s48s48s48s48s48s48s48s48s64s"),
        BodyType.TD_1_5: Struct("<16s48s48s8s8s8s48s48s48s48s48s48s48s48s64s16s48s"),
    },
)


@dataclass(frozen=True, slots=True)
class TdReport:
    """What the quote says of the TD; names as in the specification, sizes in bytes.

    Attributes:
        tee_tcb_svn: 16, security versions: TDX module minor and major, microcode.
        mr_seam: 48, measurement of the TDX module.
        mr_signer_seam: 48, its signer; zero for Intel's module.
        seam_attributes: 8, zero for Intel's module.
        td_attributes: 8, see `attestation.tdx.attributes`.
        xfam: 8, see there.
        mr_td: 48, measurement of the TD as it was built.
        mr_config_id: 48, chosen by the host at launch.
        mr_owner: 48, chosen by the host at launch.
        mr_owner_config: 48, chosen by the host at launch.
        rtmr0, rtmr1, rtmr2, rtmr3: 48 each, registers that the TD extends.
        report_data: 64, chosen by the TD.
        tee_tcb_svn_2: 16, security versions of the other side of an update that the TD lived through; version 1.5.
        mr_service_td: 48, hash over bound service TDs, which may migrate the TD; zero without one; version 1.5.
    """

    tee_tcb_svn: bytes
    mr_seam: bytes
    mr_signer_seam: bytes
    seam_attributes: bytes
    td_attributes: bytes
    xfam: bytes
    mr_td: bytes
    mr_config_id: bytes
    mr_owner: bytes
    mr_owner_config: bytes
    rtmr0: bytes
    rtmr1: bytes
    rtmr2: bytes
    rtmr3: bytes
    report_data: bytes
    tee_tcb_svn_2: bytes | None = None
    mr_service_td: bytes | None = None

    @property
    def registers(self) -> Mapping[str, bytes]:
        """Registers by the names that policies use."""
        return {
            "mrtd": self.mr_td,
            "rtmr0": self.rtmr0,
            "rtmr1": self.rtmr1,
            "rtmr2": self.rtmr2,
            "rtmr3": self.rtmr3,
        }


@dataclass(frozen=True, slots=True)
class EnclaveReport:
    """What the CPU says of the quoting enclave; sizes in bytes.

    Attributes:
        raw: 384, as it is signed.
        cpu_svn: 16.
        misc_select: 4.
        attributes: 16, flags and XFRM.
        mr_enclave: 32, measurement.
        mr_signer: 32, hash of the signer's key.
        product_id: ISVPRODID.
        security_version: ISVSVN.
        report_data: 64, chosen by the enclave.
    """

    raw: bytes
    cpu_svn: bytes
    misc_select: bytes
    attributes: bytes
    mr_enclave: bytes
    mr_signer: bytes
    product_id: int
    security_version: int
    report_data: bytes


@dataclass(frozen=True, slots=True)
class QuoteSignature:
    """Who signed the quote, and who signed for that; sizes in bytes.

    Attributes:
        value: 64, over the signed part of the quote, by `attestation_key`.
        attestation_key: 64, P-256 point of the quoting enclave's key.
        enclave: report of the quoting enclave.
        enclave_signature: 64, over that report, by the PCK.
        authentication_data: of the quoting enclave, bound together with its key.
        certificates: DER of the PCK certificate and of what is above it, leaf first.
    """

    value: bytes
    attestation_key: bytes
    enclave: EnclaveReport
    enclave_signature: bytes
    authentication_data: bytes
    certificates: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Quote:
    """A TD quote; sizes in bytes.

    Attributes:
        version: 4 or 5.
        vendor: 16, who made the quoting enclave.
        user_data: 20, of the quoting enclave.
        body_type: which TD report it holds.
        report: the TD report.
        signed: what the signature covers: header and body.
        signature: the signature and its chain.
        trailing: bytes after the quote, which nobody signed: the rest of a driver's buffer.
    """

    version: int
    vendor: bytes
    user_data: bytes
    body_type: BodyType
    report: TdReport
    signed: bytes
    signature: QuoteSignature
    trailing: bytes


def parse_quote(data: bytes) -> Quote:
    """Read a quote.

    Raises:
        MalformedError: not a TD quote of version 4 or 5 with ECDSA P-256 and its PCK chain inside.
    """
    reader = Reader(data, "TD quote", "little")
    if len(data) > MAX_SIZE:
        reader.fail(f"{len(data)} bytes, at most {MAX_SIZE} are read")
    version, key_type, tee, _reserved, vendor, user_data = _HEADER.unpack(reader.take(_HEADER.size, "header"))
    _check_kind(version, key_type, tee)
    body_type = _read_body_type(reader) if version == VERSION_5 else BodyType.TD_1_0
    layout = _TD_REPORTS[body_type]
    report = TdReport(*layout.unpack(reader.take(layout.size, "TD report")))
    return Quote(
        version=version,
        vendor=vendor,
        user_data=user_data,
        body_type=body_type,
        report=report,
        signed=data[: reader.offset],
        signature=_read_signature(reader.sized32("signature data")),
        trailing=reader.rest(),
    )


def _check_kind(version: int, key_type: int, tee: int) -> None:
    if tee == TEE_SGX and version in _SGX_VERSIONS:
        raise MalformedError(
            "SGX quote, not TDX: it speaks of an enclave, not of a machine",
            hint="collect the quote inside the TD, from the tdx_guest driver",
        )
    if version not in _VERSIONS or tee != TEE_TDX:
        raise MalformedError(f"not a TD quote: version {version} of TEE type {tee:#x}, expected 4 or 5 of 0x81")
    if key_type != ECDSA_P256:
        raise MalformedError(f"TD quote: attestation key of type {key_type}, expected {ECDSA_P256} (ECDSA P-256)")


def _read_body_type(reader: Reader) -> BodyType:
    kind, size = _BODY.unpack(reader.take(_BODY.size, "type of the body"))
    layout = _TD_REPORTS.get(kind)
    if layout is None:
        name = BodyType(kind).name if kind in iter(BodyType) else "unknown"
        raise MalformedError(f"TD quote: body of type {kind} ({name}), expected 2 (TD_1_0) or 3 (TD_1_5)")
    reader.expect(layout.size, size, "size of the body")
    return BodyType(kind)


def _read_signature(data: bytes) -> QuoteSignature:
    outer = Reader(data, "signature data of the TD quote", "little")
    value, attestation_key = outer.take(POINT_SIZE, "signature"), outer.take(POINT_SIZE, "attestation key")
    inner = Reader(_read_certification(outer, CERTIFICATION_QE_REPORT), "report of the quoting enclave", "little")
    return QuoteSignature(
        value=value,
        attestation_key=attestation_key,
        enclave=_enclave_report(inner.take(_ENCLAVE_REPORT.size, "enclave report")),
        enclave_signature=inner.take(POINT_SIZE, "signature of the enclave report"),
        authentication_data=inner.sized16("authentication data"),
        certificates=_split_chain(_read_certification(inner, CERTIFICATION_PCK_CHAIN)),
    )


def _read_certification(reader: Reader, expected: int) -> bytes:
    kind = reader.u16("type of the certification data")
    if kind != expected:
        raise MalformedError(
            f"{reader.what}: certification data of type {kind}, expected {expected}",
            hint="the host's quoting service must deliver the PCK certificate chain inside the quote",
        )
    data = reader.sized32("certification data")
    reader.end()
    return data


def _enclave_report(raw: bytes) -> EnclaveReport:
    (cpu_svn, misc_select, _, attributes, mr_enclave, _, mr_signer, _, product_id, security_version, _, report_data) = (
        _ENCLAVE_REPORT.unpack(raw)
    )
    return EnclaveReport(
        raw=raw,
        cpu_svn=cpu_svn,
        misc_select=misc_select,
        attributes=attributes,
        mr_enclave=mr_enclave,
        mr_signer=mr_signer,
        product_id=product_id,
        security_version=security_version,
        report_data=report_data,
    )


def _split_chain(pem: bytes) -> tuple[bytes, ...]:
    """Give the DER of each certificate; a NUL byte ends the text in most quotes."""
    if len(pem) > MAX_CHAIN_SIZE:
        raise MalformedError(f"PCK chain of {len(pem)} bytes, at most {MAX_CHAIN_SIZE} are read")
    *blocks, rest = pem.rstrip(b"\0").split(_PEM_END)
    if rest.strip() or not 0 < len(blocks) <= MAX_CERTIFICATES:
        raise MalformedError(f"PCK chain: {len(blocks)} certificates in PEM, and {len(rest)} bytes after them")
    return tuple(_decode_pem(block) for block in blocks)


def _decode_pem(block: bytes) -> bytes:
    before, begin, text = block.partition(_PEM_BEGIN)
    if before.strip() or not begin:
        raise MalformedError("PCK chain: a certificate does not begin as PEM does")
    letters = b"".join(text.split())
    try:
        der = binascii.a2b_base64(letters, strict_mode=True)
    except binascii.Error as error:
        raise MalformedError(f"PCK chain: not base64: {error}") from None
    if binascii.b2a_base64(der, newline=False) != letters:
        raise MalformedError("PCK chain: base64 with spare bits that are not zero")
    return der
