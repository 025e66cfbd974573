# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
r"""An Intel made of software, and its platforms: quotes that verify, until one line breaks one property.

    intel = FakeIntel()
    platform = intel.platform()
    verdict = judge(..., roots=intel.roots)                   # genuine

    platform.version = 5                                      # a quote of the other version
    platform.debug = True                                     # the host may read the TD's memory
    platform.rtmrs[3] = mark                                  # another register
    platform.pck_not_after = datetime(2020, 1, 1, tzinfo=UTC)      # an expired PCK certificate
    platform.qe_report_data = bytes(64)                       # a key that no quoting enclave vouches for
    platform.qe_signer = bytes(32)                            # an enclave that the host wrote
    platform.signature = bytes(64)                            # a broken signature
    platform.certificates = FakeIntel("mallory").platform().pck_chain()    # the chain of somebody else

Layouts: Intel, "TDX DCAP: Quote Generation Library and Quote Verification Library", appendix "Quote format".
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from attestation.evidence import TdxEvidence
from attestation.roots import Roots
from attestation.tdx.attributes import TdAttributes
from attestation.tdx.pck import SGX_EXTENSION
from attestation.tdx.quote import ECDSA_P256, TEE_TDX, BodyType
from attestation.tdx.verify import INTEL_VENDOR, QE_PRODUCT, QE_SIGNER
from attestation.testing import der
from attestation.testing.intel_authority import Authority, Subject, pem, raw_signature

if TYPE_CHECKING:
    from collections.abc import Iterator

REPORT_DATA_SIZE: Final = 64
REGISTER_SIZE: Final = 48
QE_AUTHENTICATION_DATA: Final = bytes(range(32))  # as Intel's quoting enclave has it
FMSPC: Final = bytes.fromhex("b0c06f000000")
_RTMRS: Final = (*(hashlib.sha384(b"RTMR%d" % index).digest() for index in range(3)), bytes(REGISTER_SIZE))
SECURITY_VERSION: Final = 6  # of the fake's TDX module and quoting enclave


@dataclass(frozen=True, slots=True)
class FakeIntel:
    """An Intel. Two of the same name are the same one: keys are made once in a process, when first needed.

    Attributes:
        name: tells it from others, e.g. from an impostor; certificates do not show it.
    """

    name: str = "intel"

    @property
    def root(self) -> Authority:
        """SGX Root CA."""
        return _authority(self.name, "Intel SGX Root CA", None)

    @property
    def platform_ca(self) -> Authority:
        """The authority that certifies platforms of several packages."""
        return _authority(self.name, "Intel SGX PCK Platform CA", self.root)

    @property
    def processor_ca(self) -> Authority:
        """The authority that certifies platforms of one package."""
        return _authority(self.name, "Intel SGX PCK Processor CA", self.root)

    @property
    def tcb_signer(self) -> Authority:
        """Who signs collateral; no authority."""
        return _authority(self.name, "Intel SGX TCB Signing", self.root)

    @property
    def roots(self) -> Roots:
        """What makes a verifier believe this Intel, and no other vendor."""
        return Roots(amd=frozenset(), intel=frozenset({self.root.fingerprint}))

    def platform(self) -> FakeTdxPlatform:
        """Build a platform."""
        return FakeTdxPlatform(intel=self)

    def revocation_lists(self, *, this_update: datetime, next_update: datetime) -> tuple[bytes, bytes]:
        """Make the lists of root and Platform CA, in which nothing is revoked."""
        return (
            self.root.revoke(this_update=this_update, next_update=next_update),
            self.platform_ca.revoke(this_update=this_update, next_update=next_update),
        )


@dataclass(slots=True, kw_only=True)
class FakeTdxPlatform:
    """A platform with TDX and one TD, of which every property can be set; what is None follows from the others.

    Attributes:
        intel: who certifies the platform.
        version: of the quote, 4 or 5.
        body_type: of a quote of version 5.
        key_type: kind of attestation key that the quote claims.
        tee_type: kind of TEE that the quote claims.
        vendor: who made the quoting enclave, by the quote.
        tee_tcb_svn: 16 bytes, security versions: module minor and major, microcode.
        td_attributes, xfam: 8 bytes each.
        rtmrs: four registers of 48 bytes.
        report_data: what the TD asked to be signed, where `quote` is not told; padded with zeros to 64 bytes.
        tee_tcb_svn_2, mr_service_td: only in TD reports 1.5.
        ppid, components, pce_svn, cpu_svn, pce_id, fmspc, sgx_type, instance_id: what the PCK certificate says.
        smt_enabled: what the PCK certificate says about two threads in a core.
        qe_attributes, qe_misc_select, qe_signer, qe_product, qe_svn: the quoting enclave.
        qe_report_data: 64 bytes that bind its key.
        qe_authentication_data: what is bound together with the key.
        qe_signature: 64 bytes by the PCK over the enclave's report.
        signature: 64 bytes by the attestation key over the quote.
        pck_issuer: who signs the PCK certificate; the Platform CA by default.
        pck_name: subject of the PCK certificate.
        pck_not_before, pck_not_after: its validity, aware UTC.
        pck_serial: its serial number.
        pck_extension: DER of Intel's extension.
        certificates: DER of the whole chain.
        trailing: bytes behind the quote.
    """

    intel: FakeIntel
    version: int = 4
    body_type: int | None = None
    key_type: int = ECDSA_P256
    tee_type: int = TEE_TDX
    vendor: bytes = INTEL_VENDOR
    user_data: bytes = bytes(20)
    tee_tcb_svn: bytes = bytes((SECURITY_VERSION, 1, 3)).ljust(16, b"\0")
    mr_seam: bytes = hashlib.sha384(b"TDX module").digest()
    mr_signer_seam: bytes = bytes(REGISTER_SIZE)
    seam_attributes: bytes = bytes(8)
    td_attributes: bytes = int(TdAttributes.SEPT_VE_DISABLE).to_bytes(8, "little")
    xfam: bytes = bytes.fromhex("e702060000000000")
    mr_td: bytes = hashlib.sha384(b"firmware").digest()
    mr_config_id: bytes = bytes(REGISTER_SIZE)
    mr_owner: bytes = bytes(REGISTER_SIZE)
    mr_owner_config: bytes = bytes(REGISTER_SIZE)
    rtmrs: list[bytes] = field(default_factory=lambda: list(_RTMRS))
    report_data: bytes = bytes(REPORT_DATA_SIZE)
    tee_tcb_svn_2: bytes | None = None
    mr_service_td: bytes = bytes(REGISTER_SIZE)
    ppid: bytes = hashlib.sha256(b"platform").digest()[:16]
    components: tuple[int, ...] = (3, 3, 2, 2, 4, 1, 0, 5, *(0,) * 8)
    pce_svn: int = 11
    cpu_svn: bytes | None = None
    pce_id: bytes = bytes(2)
    fmspc: bytes = FMSPC
    sgx_type: int = 1
    instance_id: bytes | None = hashlib.sha256(b"instance").digest()[:16]
    smt_enabled: bool = False
    qe_attributes: bytes = bytes.fromhex("1500000000000000e700000000000000")
    qe_misc_select: bytes = bytes(4)
    qe_signer: bytes = QE_SIGNER
    qe_product: int = QE_PRODUCT
    qe_svn: int = SECURITY_VERSION
    qe_report_data: bytes | None = None
    qe_authentication_data: bytes = QE_AUTHENTICATION_DATA
    qe_signature: bytes | None = None
    signature: bytes | None = None
    pck_issuer: Authority | None = None
    pck_name: str = "Intel SGX PCK Certificate"
    pck_not_before: datetime = datetime(2025, 2, 6, 23, 25, 51, tzinfo=UTC)
    pck_not_after: datetime = datetime(2032, 2, 6, 23, 25, 51, tzinfo=UTC)
    pck_serial: int = 0x3C16ED54
    pck_extension: bytes | None = None
    certificates: tuple[bytes, ...] | None = None
    trailing: bytes = b""
    pck: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()), repr=False)
    attestation_key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1()), repr=False
    )

    @property
    def debug(self) -> bool:
        """Whether the host may read the TD's memory."""
        return bool(self.td_attributes[0] & TdAttributes.DEBUG)

    @debug.setter
    def debug(self, allowed: bool) -> None:
        bits = int.from_bytes(self.td_attributes, "little") & ~TdAttributes.DEBUG
        self.td_attributes = (bits | (TdAttributes.DEBUG if allowed else 0)).to_bytes(8, "little")

    def quote(self, report_data: bytes | None = None) -> bytes:
        """Make a signed quote.

        Args:
            report_data: what to sign, padded with zeros to 64 bytes; by default what the attribute of this name says.
        """
        signed = self._header() + self._td_report(self.report_data if report_data is None else report_data)
        signature = raw_signature(self.attestation_key, signed) if self.signature is None else self.signature
        data = signature + self._attestation_point() + _tagged(6, self._enclave_part())
        return signed + _little(len(data), 4) + data + self.trailing

    def evidence(self, report_data: bytes | None = None) -> TdxEvidence:
        """Make a quote, and hand it over as a node does."""
        return TdxEvidence(self.quote(report_data))

    def pck_chain(self) -> tuple[bytes, ...]:
        """Make the PCK certificate, and give it with what is above it, DER."""
        issuer = self.pck_issuer or self.intel.platform_ca
        return (issuer.certify(self.pck_subject()), *issuer.chain)

    def pck_subject(self) -> Subject:
        """What the PCK certificate says."""
        extension = self.sgx_extension() if self.pck_extension is None else self.pck_extension
        return Subject(
            common_name=self.pck_name,
            key=self.pck.public_key(),
            serial=self.pck_serial,
            not_before=self.pck_not_before,
            not_after=self.pck_not_after,
            extensions=(x509.UnrecognizedExtension(x509.ObjectIdentifier(SGX_EXTENSION), extension),),
        )

    def _header(self) -> bytes:
        return b"".join(
            (
                _little(self.version, 2),
                _little(self.key_type, 2),
                _little(self.tee_type, 4),
                bytes(4),
                self.vendor,
                self.user_data,
            ),
        )

    def _td_report(self, report_data: bytes) -> bytes:
        body_type = self.body_type or (BodyType.TD_1_5 if self.version > 4 else BodyType.TD_1_0)  # noqa: PLR2004
        body = b"".join(self._td_fields(report_data))
        if body_type != BodyType.TD_1_0:
            body += (self.tee_tcb_svn if self.tee_tcb_svn_2 is None else self.tee_tcb_svn_2) + self.mr_service_td
        return _tagged(body_type, body) if self.version > 4 else body  # noqa: PLR2004 - version 5 names the type

    def _td_fields(self, report_data: bytes) -> Iterator[bytes]:
        yield self.tee_tcb_svn
        yield self.mr_seam
        yield self.mr_signer_seam
        yield self.seam_attributes
        yield self.td_attributes
        yield self.xfam
        yield self.mr_td
        yield self.mr_config_id
        yield self.mr_owner
        yield self.mr_owner_config
        yield from self.rtmrs
        yield report_data.ljust(REPORT_DATA_SIZE, b"\0")

    def _enclave_part(self) -> bytes:
        report = b"".join(self._enclave_fields())
        signature = raw_signature(self.pck, report) if self.qe_signature is None else self.qe_signature
        authentication_data = _little(len(self.qe_authentication_data), 2) + self.qe_authentication_data
        chain = pem(self.pck_chain() if self.certificates is None else self.certificates)
        return report + signature + authentication_data + _tagged(5, chain.encode("ascii") + b"\0")

    def _enclave_fields(self) -> Iterator[bytes]:
        yield self._cpu_svn()
        yield self.qe_misc_select
        yield bytes(28)
        yield self.qe_attributes
        yield hashlib.sha256(b"quoting enclave").digest()
        yield bytes(32)
        yield self.qe_signer
        yield bytes(96)
        yield _little(self.qe_product, 2)
        yield _little(self.qe_svn, 2)
        yield bytes(60)
        yield self._bound_key() if self.qe_report_data is None else self.qe_report_data

    def _bound_key(self) -> bytes:
        key = hashlib.sha256(self._attestation_point() + self.qe_authentication_data).digest()
        return key.ljust(REPORT_DATA_SIZE, b"\0")

    def _attestation_point(self) -> bytes:
        return self.attestation_key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]

    def _cpu_svn(self) -> bytes:
        return bytes(svn & 0xFF for svn in self.components) if self.cpu_svn is None else self.cpu_svn

    def sgx_extension(self) -> bytes:
        """Make the extension of its PCK certificate, DER."""
        components = [_field(f"2.{arc}", der.integer(svn)) for arc, svn in enumerate(self.components, 1)]
        tcb = [*components, _field("2.17", der.integer(self.pce_svn)), _field("2.18", der.octets(self._cpu_svn()))]
        fields = [
            _field("1", der.octets(self.ppid)),
            _field("2", der.sequence(*tcb)),
            _field("3", der.octets(self.pce_id)),
            _field("4", der.octets(self.fmspc)),
            _field("5", der.tlv(0x0A, bytes([self.sgx_type]))),
        ]
        if self.instance_id is not None:
            flags = (True, True, self.smt_enabled)
            configuration = [_field(f"7.{arc}", der.boolean(value=flag)) for arc, flag in enumerate(flags, 1)]
            fields += [_field("6", der.octets(self.instance_id)), _field("7", der.sequence(*configuration))]
        return der.sequence(*fields)


@functools.cache
def _authority(owner: str, common_name: str, parent: Authority | None) -> Authority:
    serial = int.from_bytes(hashlib.sha256(f"{owner}/{common_name}".encode()).digest()[:8], "big") >> 1
    return Authority(
        common_name=common_name,
        key=ec.generate_private_key(ec.SECP256R1()),
        parent=parent,
        serial=serial,
        is_authority=common_name != "Intel SGX TCB Signing",
    )


def _field(arc: str, value: bytes) -> bytes:
    return der.sequence(der.oid(f"{SGX_EXTENSION}.{arc}"), value)


def _tagged(kind: int, data: bytes) -> bytes:
    return _little(kind, 2) + _little(len(data), 4) + data


def _little(value: int, size: int) -> bytes:
    return value.to_bytes(size, "little")
