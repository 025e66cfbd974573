# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A machine with SEV-SNP made of software, of which every property can be set (see `attestation.testing.snp`).

Layouts: AMD 56860 ("ATTESTATION_REPORT"), AMD 57230 and 58369 (certificates of VCEK and VLEK). The report is written
field by field at its offset, and shares no code with the parser that it tests.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from attestation.der import Tag
from attestation.evidence import SnpEvidence
from attestation.snp.product import Product
from attestation.snp.report import (
    COMPONENT_SIZE,
    ECDSA_P384_SHA384,
    REPORT_SIZE,
    SIGNED_SIZE,
    Firmware,
    GuestPolicy,
    PlatformInfo,
    SigningKey,
)
from attestation.testing import der
from attestation.testing.amd_authority import AMD, Authority, extension, name, public_key_info

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

    from attestation.testing.snp import FakeAmd

REPORT_DATA_SIZE: Final = 64
CHIP_ID_SIZE: Final = 64
ALLOWED_ABI: Final = 0x1F  # lowest firmware ABI, 0.31, in the low bytes of a policy
FIRMWARE: Final = Firmware(major=1, minor=55, build=29)

_CPUID: Final = MappingProxyType(
    {Product.MILAN: (0x19, 0x01, 1), Product.GENOA: (0x19, 0x11, 1), Product.TURIN: (0x1A, 0x02, 1)},
)
# The security versions in a certificate, in AMD's order; None for a place that is reserved and always 0.
_SECURITY_VERSIONS: Final[Sequence[tuple[str, str | None]]] = (
    ("3.1", "bootloader"),
    ("3.2", "tee"),
    ("3.4", None),
    ("3.5", None),
    ("3.6", None),
    ("3.7", None),
    ("3.3", "snp"),
    ("3.8", "microcode"),
)
_TURIN_SECURITY_VERSIONS: Final[Sequence[tuple[str, str | None]]] = (
    ("3.9", "fmc"),
    ("3.1", "bootloader"),
    ("3.2", "tee"),
    ("3.3", "snp"),
    ("3.5", None),
    ("3.6", None),
    ("3.7", None),
    ("3.8", "microcode"),
)


@dataclass(slots=True, kw_only=True)
class FakeMachine:
    """A machine with SEV-SNP of which every property can be set; what is None follows from the others.

    Attributes:
        amd: who certifies its key.
        product: product line; decides the layouts of TCB and certificate.
        tcb: component → security version; what the report calls the reported TCB.
        chip_id: 64 bytes, 8 for Turin.
        signing_key: what the report says that it is signed with, and which certificate there is.
        version: of the report, 2 to 5.
        policy: guest policy with its ABI version in the low bytes.
        report_data: what the guest asked to be signed, where `report` is not told; padded with zeros to 64 bytes.
        chip_id_masked: the host hides the chip id in reports.
        current_tcb, committed_tcb, launch_tcb: the other TCBs of the report.
        cpuid: family, model, stepping.
        reserved: offset → bytes written over the signed part, last of all.
        signature_r, signature_s: bits flipped in the two halves of the signature.
        key: the P-384 key that signs reports.
        certified_key: the key in the certificate.
        certificate_product: product name in the certificate ("Milan-B0").
        certificate_tcb: security versions in the certificate.
        hwid: chip id in a VCEK.
        csp_id: cloud in a VLEK.
        certificate_serial: serial number of the certificate; 0 like every real one.
        not_before, not_after: validity of the certificate, aware UTC.
        certified_by: who signs the certificate.
        omitted_extensions: OIDs that the certificate leaves away.
        extra_extensions: encoded extensions that it adds at the end.
    """

    amd: FakeAmd
    product: Product
    tcb: dict[str, int]
    chip_id: bytes
    signing_key: SigningKey = SigningKey.VCEK
    version: int = 5
    guest_svn: int = 0
    policy: int = GuestPolicy.RESERVED_ONE | ALLOWED_ABI
    family_id: bytes = bytes(16)
    image_id: bytes = bytes(16)
    vmpl: int = 0
    signature_algorithm: int = ECDSA_P384_SHA384
    platform_info: int = PlatformInfo.TSME | PlatformInfo.ECC | PlatformInfo.ALIAS_CHECK
    author_key_enabled: bool = False
    chip_key_masked: bool = False
    chip_id_masked: bool = False
    report_data: bytes = bytes(REPORT_DATA_SIZE)
    measurement: bytes = hashlib.sha384(b"launch").digest()
    host_data: bytes = bytes(32)
    id_key_digest: bytes = bytes(48)
    author_key_digest: bytes = bytes(48)
    report_id: bytes = hashlib.sha256(b"report id").digest()
    report_id_ma: bytes = b"\xff" * 32
    cpuid: tuple[int, int, int] | None = None
    current_tcb: dict[str, int] | None = None
    committed_tcb: dict[str, int] | None = None
    launch_tcb: dict[str, int] | None = None
    current_firmware: Firmware = FIRMWARE
    committed_firmware: Firmware = FIRMWARE
    launch_mitigations: int = 0
    current_mitigations: int = 0
    reserved: dict[int, bytes] = field(default_factory=dict)
    signature_r: int = 0
    signature_s: int = 0
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP384R1()), repr=False)
    certified_key: CertificatePublicKeyTypes | None = None
    certificate_product: str | None = None
    certificate_tcb: dict[str, int] | None = None
    hwid: bytes | None = None
    csp_id: str = "CN=cc-us-east-2.amazonaws.com"
    certificate_serial: int = 0
    not_before: datetime = datetime(2025, 1, 15, 21, 21, 54, tzinfo=UTC)
    not_after: datetime = datetime(2032, 1, 15, 21, 21, 54, tzinfo=UTC)
    certified_by: Authority | None = None
    omitted_extensions: set[str] = field(default_factory=set)
    extra_extensions: list[bytes] = field(default_factory=list)

    @property
    def debug(self) -> bool:
        """Whether the policy lets the host read the guest's memory."""
        return bool(self.policy & GuestPolicy.DEBUG)

    @debug.setter
    def debug(self, allowed: bool) -> None:
        self.policy = self.policy & ~GuestPolicy.DEBUG | (GuestPolicy.DEBUG if allowed else 0)

    def report(self, report_data: bytes | None = None) -> bytes:
        """Make a signed report of 1184 bytes.

        Args:
            report_data: what to sign, padded with zeros to 64 bytes; by default what the attribute of this name says.
        """
        body = bytearray(SIGNED_SIZE)
        for offset, value in (*self._fields(report_data), *self.reserved.items()):
            body[offset : offset + len(value)] = value
        return (bytes(body) + self._signature(bytes(body))).ljust(REPORT_SIZE, b"\0")

    def certificate(self) -> bytes:
        """Make its VCEK or VLEK certificate, DER."""
        signer = self.certified_by or self.amd.signer(self.product, self.signing_key)
        return signer.certify(
            serial=self.certificate_serial,
            subject=name("SEV-VLEK" if self.signing_key is SigningKey.VLEK else "SEV-VCEK"),
            not_before=self.not_before,
            not_after=self.not_after,
            key_info=public_key_info(self.certified_key or self.key.public_key()),
            extensions=[
                *(extension(oid, value) for oid, value in self._extensions() if oid not in self.omitted_extensions),
                *self.extra_extensions,
            ],
        )

    def certificates(self) -> tuple[bytes, ...]:
        """Give the whole chain, DER: VCEK or VLEK, ASK or ASVK, ARK."""
        signer = self.certified_by or self.amd.signer(self.product, self.signing_key)
        return self.certificate(), signer.certificate, (signer.parent or signer).certificate

    def evidence(self, report_data: bytes | None = None) -> SnpEvidence:
        """Make a report, and hand it over with the whole chain."""
        return SnpEvidence(report=self.report(report_data), certificates=self.certificates())

    def _fields(self, report_data: bytes | None) -> Iterator[tuple[int, bytes]]:
        signer = self.author_key_enabled | self.chip_key_masked << 1 | self.signing_key << 2
        data = self.report_data if report_data is None else report_data
        yield 0x000, _little(self.version, 4)
        yield 0x004, _little(self.guest_svn, 4)
        yield 0x008, _little(self.policy, 8)
        yield 0x010, self.family_id
        yield 0x020, self.image_id
        yield 0x030, _little(self.vmpl, 4)
        yield 0x034, _little(self.signature_algorithm, 4)
        yield 0x038, self._tcb(self.current_tcb)
        yield 0x040, _little(self.platform_info, 8)
        yield 0x048, _little(signer, 4)
        yield 0x050, data.ljust(REPORT_DATA_SIZE, b"\0")
        yield 0x090, self.measurement
        yield 0x0C0, self.host_data
        yield 0x0E0, self.id_key_digest
        yield 0x110, self.author_key_digest
        yield 0x140, self.report_id
        yield 0x160, self.report_id_ma
        yield 0x180, self._tcb(self.tcb)
        if self.version >= 3:  # noqa: PLR2004 - the CPU names itself since then
            yield 0x188, bytes(self.cpuid or _CPUID[self.product])
        yield 0x1A0, bytes(CHIP_ID_SIZE) if self.chip_id_masked else self.chip_id
        yield 0x1E0, self._tcb(self.committed_tcb)
        yield 0x1E8, _firmware(self.current_firmware)
        yield 0x1EC, _firmware(self.committed_firmware)
        yield 0x1F0, self._tcb(self.launch_tcb)
        if self.version >= 5:  # noqa: PLR2004 - mitigation vectors exist since then
            yield 0x1F8, _little(self.launch_mitigations, 8)
            yield 0x200, _little(self.current_mitigations, 8)

    def _tcb(self, tcb: Mapping[str, int] | None) -> bytes:
        return self.product.pack_tcb(self.tcb if tcb is None else tcb)

    def _signature(self, signed: bytes) -> bytes:
        if self.signing_key is SigningKey.NONE:
            return b""
        r, s = decode_dss_signature(self.key.sign(signed, ec.ECDSA(hashes.SHA384())))
        return _little(r ^ self.signature_r, COMPONENT_SIZE) + _little(s ^ self.signature_s, COMPONENT_SIZE)

    def _extensions(self) -> Iterator[tuple[str, bytes]]:
        turin, vlek = self.product is Product.TURIN, self.signing_key is SigningKey.VLEK
        product = self.certificate_product or (self.product if vlek else f"{self.product}-B0")
        tcb = self.tcb if self.certificate_tcb is None else self.certificate_tcb
        yield f"{AMD}.1", der.integer(1 if turin else 0)
        yield f"{AMD}.2", der.text(Tag.IA5_STRING, product)
        for arc, component in _TURIN_SECURITY_VERSIONS if turin else _SECURITY_VERSIONS:
            yield f"{AMD}.{arc}", der.integer(tcb.get(component, 0) if component else 0)
        if vlek:
            yield f"{AMD}.5", der.text(Tag.IA5_STRING, self.csp_id)
        else:
            # Bare bytes: AMD does not wrap the hardware id into an OCTET STRING of its own.
            yield f"{AMD}.4", self.chip_id if self.hwid is None else self.hwid


def _little(value: int, size: int) -> bytes:
    return value.to_bytes(size, "little")


def _firmware(version: Firmware) -> bytes:
    return bytes((version.build, version.minor, version.major))
