# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Azure made of software: a paravisor that holds a vTPM, and the host beneath it.

paravisor = FakeParavisor(SoftwareTpm("rsa"), snp=machine)
paravisor.named_key = SoftwareTpm("rsa").public_key       # runtime data about another key
paravisor.hashed_data = b"{}"                              # a report about other runtime data
host = FakeAzureHost(snp=machine)
host.certificates = ()                                     # a host without certificates
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import rsa

from attestation.azure.hcl import ReportType, build_hcl
from attestation.azure.issuer import HCL_REPORT, USER_DATA
from attestation.azure.metadata import CERTIFICATES_PATH, QUOTE_PATH
from attestation.errors import EndorsementError

if TYPE_CHECKING:
    from attestation.evidence import TpmEvidence
    from attestation.testing.snp_machine import FakeMachine
    from attestation.testing.tdx import FakeTdxPlatform
    from attestation.testing.tpm import SoftwareTpm
    from attestation.tpm.public import PublicKey

TD_REPORT_SIZE = 1024
TD_REPORT_DATA = slice(128, 192)  # REPORTDATA in a TDREPORT


@dataclass(slots=True, kw_only=True)
class FakeParavisor:
    """A paravisor: the vTPM of its guest, with the report in an NV index.

    Attributes:
        tpm: the vTPM.
        snp: machine that it runs on; None if that has TDX.
        tdx: the same for TDX.
        named_key: key in its runtime data; by default that of the vTPM.
        hashed_data: runtime data that the hardware signs; by default the true one.
    """

    tpm: SoftwareTpm
    snp: FakeMachine | None = None
    tdx: FakeTdxPlatform | None = None
    named_key: PublicKey | None = None
    hashed_data: bytes | None = None

    def evidence(self, binding: bytes) -> TpmEvidence:
        """Quote all registers."""
        return self.tpm.evidence(binding)

    def nv_read(self, index: int) -> bytes:
        """Read an NV index; the report is made when it is read."""
        return self._report() if index == HCL_REPORT else self.tpm.nv_read(index)

    def nv_write(self, index: int, data: bytes) -> None:
        """Write an NV index."""
        self.tpm.nv_write(index, data)

    def runtime_data(self) -> bytes:
        """Name the key of the vTPM, as JSON."""
        key = self.named_key or self.tpm.public_key
        record: dict[str, Any] = {
            "keys": [jwk("HCLAkPub", key)] if isinstance(key, rsa.RSAPublicKey) else [],
            "vm-configuration": {"console-enabled": True, "secure-boot": True, "tpm-enabled": True},
            "user-data": self.tpm.nv.get(USER_DATA, bytes(64)).hex().upper(),
        }
        return json.dumps(record, separators=(",", ":")).encode()

    def _report(self) -> bytes:
        runtime_data = self.runtime_data()
        hashed = runtime_data if self.hashed_data is None else self.hashed_data
        report_data = hashlib.sha256(hashed).digest().ljust(64, b"\0")
        if self.snp is not None:
            return build_hcl(ReportType.SNP, self.snp.report(report_data), runtime_data)
        td_report = bytearray(TD_REPORT_SIZE)
        td_report[TD_REPORT_DATA] = report_data
        return build_hcl(ReportType.TDX, bytes(td_report), runtime_data)


@dataclass(slots=True, kw_only=True)
class FakeAzureHost:
    """The metadata service of a host (`attestation.azure.metadata.Metadata`).

    Attributes:
        snp: machine whose certificates it gives.
        tdx: platform that makes quotes of its TD reports.
        certificates: DER of VCEK, ASK, ARK, instead of the true ones.
        answers: path → what it answers instead of the truth.
    """

    snp: FakeMachine | None = None
    tdx: FakeTdxPlatform | None = None
    certificates: tuple[bytes, ...] | None = None
    answers: dict[str, bytes] | None = None

    def get(self, path: str) -> bytes:
        """Give certificates."""
        if self.answers and path in self.answers:
            return self.answers[path]
        if path != CERTIFICATES_PATH or self.snp is None:
            raise EndorsementError(f"{path} does not answer: 404")
        leaf, *chain = map(pem, self.snp.certificates() if self.certificates is None else self.certificates)
        return json.dumps({"vcekCert": leaf, "certificateChain": "".join(chain), "tcbm": "DB18000000000004"}).encode()

    def post(self, path: str, body: bytes) -> bytes:
        """Make a quote of a TD report."""
        if self.answers and path in self.answers:
            return self.answers[path]
        if path != QUOTE_PATH or self.tdx is None:
            raise EndorsementError(f"{path} does not answer: 404")
        text = json.loads(body)["report"]
        td_report = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        return json.dumps({"quote": encode(self.tdx.quote(td_report[TD_REPORT_DATA]))}).encode()


def jwk(name: str, key: rsa.RSAPublicKey) -> dict[str, Any]:
    """Write an RSA key as a JSON Web Key."""
    numbers = key.public_numbers()
    modulus, exponent = (
        encode(value.to_bytes((value.bit_length() + 7) // 8, "big")) for value in (numbers.n, numbers.e)
    )
    return {"kid": name, "key_ops": ["sign"], "kty": "RSA", "e": exponent, "n": modulus}


def encode(data: bytes) -> str:
    """Write base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def pem(der: bytes) -> str:
    """Write a certificate as PEM."""
    return f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(der).decode('ascii')}-----END CERTIFICATE-----\n"
