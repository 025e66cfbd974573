# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Intel's signed word about a fake platform: TCB info, QE identity, revocation lists.

Each part can be broken with one line:

    collateral = FakeCollateral(platform, issued=now, next_update=now + timedelta(days=30))
    collateral.status = "OutOfDate"                           # a platform that needs an update
    collateral.fmspc = bytes(6)                               # collateral of another kind of platform
    collateral.signer = FakeIntel("mallory").tcb_signer       # the word of somebody else
    policy = Policy(..., collateral=(collateral.to_json(),))

Formats: Intel, "Provisioning Certification Service API", version 4 (TCB info 3, QE identity 2), in the JSON form of
the `QuoteCollateralV3` of `dcap-qvl`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from attestation.testing.intel_authority import Authority, pem, raw_signature

if TYPE_CHECKING:
    from datetime import datetime

    from attestation.testing.tdx import FakeTdxPlatform

_ZERO_SIGNER: Final = "00" * 48
_NO_ATTRIBUTES: Final = {"attributes": "00" * 8, "attributesMask": "FF" * 8}


@dataclass(slots=True)
class FakeCollateral:
    """Collateral that holds for a platform, until something is changed; what is None follows from the platform.

    Attributes:
        platform: whose collateral it is.
        issued: when everything was signed, aware UTC.
        next_update: until when it holds.
        status: state of the platform.
        qe_status: state of its quoting enclave.
        advisory_ids: Intel's advisories about its state.
        fmspc: kind of platform that the TCB info is about, 6 bytes.
        signer: who signs TCB info and QE identity.
        revoked: serial numbers in the list of the PCK's issuer.
    """

    platform: FakeTdxPlatform
    issued: datetime
    next_update: datetime
    status: str = "UpToDate"
    qe_status: str = "UpToDate"
    advisory_ids: tuple[str, ...] = ()
    fmspc: bytes | None = None
    signer: Authority | None = None
    revoked: tuple[int, ...] = ()

    def to_json(self) -> bytes:
        """Give it as policies hold it."""
        intel = self.platform.intel
        signer = self.signer or intel.tcb_signer
        issuer = self.platform.pck_issuer or intel.platform_ca
        pck_list = issuer.revoke(self.revoked, this_update=self.issued, next_update=self.next_update)
        tcb_info, qe_identity = json.dumps(self._tcb_info()), json.dumps(self._qe_identity())
        record = {
            "pck_crl_issuer_chain": pem(issuer.chain),
            "root_ca_crl": intel.root.revoke(this_update=self.issued, next_update=self.next_update).hex(),
            "pck_crl": pck_list.hex(),
            "tcb_info_issuer_chain": pem(signer.chain),
            "tcb_info": tcb_info,
            "tcb_info_signature": raw_signature(signer.key, tcb_info.encode()).hex(),
            "qe_identity_issuer_chain": pem(signer.chain),
            "qe_identity": qe_identity,
            "qe_identity_signature": raw_signature(signer.key, qe_identity.encode()).hex(),
        }
        return json.dumps(record).encode("ascii")

    def _envelope(self, kind: str, version: int) -> dict[str, Any]:
        return {
            "id": kind,
            "version": version,
            "issueDate": f"{self.issued:%Y-%m-%dT%H:%M:%SZ}",
            "nextUpdate": f"{self.next_update:%Y-%m-%dT%H:%M:%SZ}",
            "tcbEvaluationDataNumber": 17,
        }

    def _level(self, tcb: dict[str, Any], status: str) -> dict[str, Any]:
        level = {"tcb": tcb, "tcbDate": "2024-03-13T00:00:00Z", "tcbStatus": status}
        return level | {"advisoryIDs": list(self.advisory_ids)} if self.advisory_ids else level

    def _tcb_info(self) -> dict[str, Any]:
        platform = self.platform
        tcb = {
            "sgxtcbcomponents": [{"svn": svn} for svn in platform.components],
            "pcesvn": platform.pce_svn,
            # The module's own version is judged by its identity, below.
            "tdxtcbcomponents": [{"svn": 0 if index < 2 else svn} for index, svn in enumerate(platform.tee_tcb_svn)],  # noqa: PLR2004
        }
        minor, major = platform.tee_tcb_svn[:2]
        module = {
            "id": f"TDX_{major:02X}",
            "mrsigner": _ZERO_SIGNER,
            **_NO_ATTRIBUTES,
            "tcbLevels": [self._level({"isvsvn": minor}, "UpToDate")],
        }
        return self._envelope("TDX", 3) | {
            "fmspc": (self.fmspc or platform.fmspc).hex().upper(),
            "pceId": platform.pce_id.hex(),
            "tcbType": 0,
            "tdxModule": {"mrsigner": _ZERO_SIGNER, **_NO_ATTRIBUTES},
            "tdxModuleIdentities": [module],
            "tcbLevels": [self._level(tcb, self.status)],
        }

    def _qe_identity(self) -> dict[str, Any]:
        platform = self.platform
        return self._envelope("TD_QE", 2) | {
            "miscselect": "00000000",
            "miscselectMask": "FFFFFFFF",
            "attributes": "11000000000000000000000000000000",
            "attributesMask": "FBFFFFFFFFFFFFFF0000000000000000",
            "mrsigner": platform.qe_signer.hex().upper(),
            "isvprodid": platform.qe_product,
            "tcbLevels": [self._level({"isvsvn": platform.qe_svn}, self.qe_status)],
        }
