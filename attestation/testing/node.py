# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A node of any variant made of software: complete good evidence, and the policy that accepts it.

    node = FakeNode(Variant.AZURE_SEV_SNP)
    node.verdict(binding).require()
    node.verdict(binding, evidence=forged, policy=node.policy() | {"allow_smt": True})

Every part is at hand, so one line breaks one property:

    node.tpm.extend(4, digest)                                 # another boot loader
    node.tpm.event(15, cluster_id)                             # a node that belongs to a cluster
    node.snp.debug = True                                      # the host may read the guest's memory
    node.tdx.rtmrs[1] = bytes(48)                              # another kernel
    node.authority = FakeAuthority("gcp", owner="mallory")     # certificates by an impostor
    node.parts["ak_certificate"] = None                        # a part that is left away
    node.paravisor.named_key = mallory.public_key              # Azure: runtime data about another key
"""

from __future__ import annotations

import base64
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.asymmetric import ec

from attestation.azure.issuer import AK_CERTIFICATE as AZURE_AK_CERTIFICATE
from attestation.case import BINDING_SIZE, Mark
from attestation.gcp.issuer import AK_CERTIFICATE as GCP_AK_CERTIFICATE
from attestation.issuer import Devices, Issuer, issuer_for
from attestation.judge import judge
from attestation.policy import Policy
from attestation.policy_fields import FIELDS
from attestation.qemu.issuer import EK_CERTIFICATES
from attestation.roots import Roots
from attestation.snp.device import DeviceReport
from attestation.snp.issuer import SnpIssuer
from attestation.snp.product import Product
from attestation.snp.report import SigningKey
from attestation.testing.authority import FakeAuthority
from attestation.testing.azure import FakeAzureHost, FakeParavisor
from attestation.testing.boot_log import BootLog
from attestation.testing.nitro import FakeNitro
from attestation.testing.sev_guest import certificate_table
from attestation.testing.snp import FakeAmd
from attestation.testing.tdx import FakeIntel, FakeTdxPlatform
from attestation.testing.tpm import SoftwareTpm
from attestation.testing.tsm import FakeTsmFiles
from attestation.tpm.algorithms import HashAlgorithm
from attestation.tpm.attestation_key import AttestationKey
from attestation.tpm.event_types import EventType
from attestation.tpm.gce_event import SIGNATURE, GceTechnology
from attestation.tsm import TsmProvider, TsmReports
from attestation.variant import Technology, Variant

if TYPE_CHECKING:
    from attestation.evidence import Evidence
    from attestation.testing.snp_machine import FakeMachine
    from attestation.verdict import Verdict

AT: Final = datetime(2026, 1, 1, tzinfo=UTC)
MONTH: Final = timedelta(days=30)

# Register → what the firmware of a node measures into it.
_BOOT: Final = (
    (0, EventType.EV_S_CRTM_VERSION, b"firmware"),
    (4, EventType.EV_EFI_BOOT_SERVICES_APPLICATION, b"boot loader"),
    (9, EventType.EV_EVENT_TAG, b"command line and initrd"),
    (11, EventType.EV_IPL, b"sections of the image"),
)
_RTMRS: Final = (
    (1, EventType.EV_EFI_HANDOFF_TABLES2, b"firmware"),
    (2, EventType.EV_EFI_BOOT_SERVICES_APPLICATION, b"boot loader"),
    (3, EventType.EV_EVENT_TAG, b"command line and initrd"),
)
_ENFORCED: Final = ("4", "9", "11", "mrtd", "rtmr1", "rtmr2")
_AK_INDEX: Final = {
    Variant.AZURE_TRUSTED_LAUNCH: AZURE_AK_CERTIFICATE,
    Variant.GCP_SEV_SNP: GCP_AK_CERTIFICATE,
    Variant.GCP_SEV_ES: GCP_AK_CERTIFICATE,
}
_PARAVISOR: Final = (Variant.AZURE_SEV_SNP, Variant.AZURE_TDX)


@dataclass(slots=True)
class FakeNode:
    """A node. What its variant does not have is there too, and is not asked.

    Attributes:
        variant: the platform.
        product: line of its AMD CPU.
        at: time at which its evidence is good, aware UTC.
        tpm: its TPM.
        snp: its machine, if that has SEV-SNP.
        tdx: its platform, if that has TDX.
        paravisor: what holds the TPM on Azure.
        host: what is beneath it on Azure.
        nitro: what signs documents on AWS.
        authority: who certifies attestation or endorsement key.
        endorsement_key: what is certified of a vTPM.
        parts: name → part of the platform instead of the true one; None leaves a part away.
    """

    variant: Variant
    product: Product = Product.GENOA
    at: datetime = AT
    tpm: SoftwareTpm = field(init=False)
    snp: FakeMachine = field(init=False)
    tdx: FakeTdxPlatform = field(init=False)
    paravisor: FakeParavisor = field(init=False)
    host: FakeAzureHost = field(init=False)
    nitro: FakeNitro = field(default_factory=FakeNitro)
    authority: FakeAuthority = field(init=False)
    endorsement_key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1()), repr=False
    )
    parts: dict[str, bytes | None] = field(default_factory=dict)
    _ccel: bytes = field(init=False, repr=False)
    _policy: dict[str, Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Boot it, and write down what is good."""
        name = self.variant.value
        self.authority = FakeAuthority(name.partition("-")[0])
        self.snp = FakeAmd().machine(self.product)
        self.snp.signing_key = SigningKey.VLEK if self.variant is Variant.AWS_SEV_SNP else SigningKey.VCEK
        self.tdx = FakeIntel().platform()
        self.snp.measurement = self.tdx.mr_td = HashAlgorithm.SHA384.digest(f"firmware of {name}".encode())
        self.tpm = SoftwareTpm("rsa" if self.variant in _PARAVISOR else "ecc")
        has_snp = Technology.SNP in self.variant.technologies
        self.paravisor = FakeParavisor(tpm=self.tpm, snp=self.snp if has_snp else None, tdx=self.tdx)
        self.host = FakeAzureHost(snp=self.snp, tdx=self.tdx)
        self._boot_tpm()
        self._boot_td()
        self._policy = self._good_policy()

    @property
    def roots(self) -> Roots:
        """What makes a verifier believe the makers of this node's CPU."""
        amd = FakeAmd().root(self.product).fingerprint
        return Roots(amd=frozenset({amd}), intel=FakeIntel().roots.intel)

    @property
    def ak_name(self) -> bytes:
        """TPM Name of the attestation key."""
        return AttestationKey.from_public_area(self.tpm.ak_public).name or b""

    def issuer(self) -> Issuer:
        """Make the issuer that runs on such a node, with devices of software."""
        devices = Devices(
            tpm=self.paravisor if self.variant in _PARAVISOR else self.tpm,
            snp=SnpIssuer(_SecureProcessor(self.snp)),
            tdx=TsmReports(FakeTsmFiles(TsmProvider.TDX, self.tdx.quote)),
            azure=self.host,
            nitro=self.nitro,
        )
        return issuer_for(self.variant, devices)

    def evidence(self, binding: bytes) -> Evidence:
        """Issue evidence.

        Args:
            binding: 32 bytes to be bound to.
        """
        for index in (*EK_CERTIFICATES, *_AK_INDEX.values()):
            self.tpm.nv.pop(index, None)
        chain = {}
        if self.variant in _AK_INDEX:
            self.tpm.nv[_AK_INDEX[self.variant]] = self.authority.certify(self.tpm.public_key)
            chain["ak_chain"] = self.authority.intermediate
        if self.variant in (Variant.QEMU_VTPM, Variant.OPENSTACK_VTPM):
            self.tpm.nv[EK_CERTIFICATES[1]] = self.authority.certify(self.endorsement_key.public_key())
            chain["ek_chain"] = self.authority.intermediate
        if self.variant in (Variant.QEMU_TDX, Variant.GCP_TDX):
            chain["ccel"] = self._ccel
        evidence = self.issuer().issue(binding)
        parts = {**evidence.platform, **chain, **self.parts}
        return replace(evidence, platform={name: part for name, part in parts.items() if part is not None})

    def policy(self) -> dict[str, Any]:
        """Give the policy that accepts this node as it was when it booted; a new copy each time."""
        return deepcopy(self._policy)

    def verdict(
        self,
        binding: bytes | None,
        *,
        evidence: Evidence | None = None,
        policy: dict[str, Any] | None = None,
        mark: Mark | bytes = Mark.UNMARKED,
    ) -> Verdict:
        """Judge, at the time and with the roots of this node.

        Args:
            binding: what the evidence must be bound to.
            evidence: what is judged; by default what this node issues now.
            policy: what is acceptable; by default what this node was when it booted.
            mark: expected cluster mark.
        """
        return judge(
            self.evidence(binding or bytes(BINDING_SIZE)) if evidence is None else evidence,
            Policy.from_mapping(self._policy if policy is None else policy),
            binding=binding,
            at=self.at,
            mark=mark,
            roots=self.roots,
        )

    def _boot_tpm(self) -> None:
        log = BootLog(HashAlgorithm.SHA256)
        for register, kind, data in _BOOT:
            log.measure(register, kind, data)
        if self.variant.value.startswith("gcp"):
            technology = GceTechnology.SEV_SNP if self.variant is Variant.GCP_SEV_SNP else GceTechnology.SEV_ES
            log.measure(0, EventType.EV_NONHOST_INFO, SIGNATURE + bytes((technology.value,)).ljust(16, b"\0"))
        self.tpm.pcrs |= log.registers
        self.tpm.event_log = log.to_bytes()
        for register, _, data in _BOOT:
            self.nitro.registers[register] = HashAlgorithm.SHA384.digest(data)

    def _boot_td(self) -> None:
        log = BootLog(HashAlgorithm.SHA384)
        for register, kind, data in _RTMRS:
            log.measure(register, kind, data)
            self.tdx.rtmrs[register - 1] = log.registers[register]
        self._ccel = log.to_bytes()

    def _good_policy(self) -> dict[str, Any]:
        policy: dict[str, Any] = {"variant": self.variant.value}
        technologies = self.variant.technologies
        if Technology.SNP in technologies:
            policy |= self._good_snp()
        if Technology.TDX in technologies:
            policy |= self._good_tdx()
        if self.variant in FIELDS["launch_digests"].variants:
            policy["launch_digests"] = [self.snp.measurement.hex()]  # the same as MRTD
        if registers := self._registers():
            policy["measurements"] = {
                name: {"expected": value.hex(), "enforced": name in _ENFORCED} for name, value in registers.items()
            }
        if self.variant in _AK_INDEX:
            policy["ak_roots"] = [self.authority.root_pem]
        if self.variant is Variant.AWS_SEV_SNP:
            policy["allow_unlisted_ak"] = True
        if self.variant is Variant.AWS_NITRO_TPM:
            policy |= {"ak_roots": [self.nitro.authority.root_pem], "ak_names": [self.ak_name.hex()]}
        return policy

    def _registers(self) -> dict[str, bytes]:
        if Technology.TPM in self.variant.technologies:
            return {str(register): self.tpm.pcrs[register] for register, _, _ in _BOOT}
        if Technology.TDX in self.variant.technologies:
            return {"mrtd": self.tdx.mr_td} | {f"rtmr{index}": self.tdx.rtmrs[index] for index in range(3)}
        return {}

    def _good_snp(self) -> dict[str, Any]:
        yesterday = self.at - timedelta(days=1)
        crl = self.snp.amd.crl(self.product, this_update=yesterday, next_update=self.at + MONTH)
        return {"minimum_tcb": dict(self.snp.tcb), "revocation_lists": [_text(crl)]}

    def _good_tdx(self) -> dict[str, Any]:
        yesterday = self.at - timedelta(days=1)
        lists = self.tdx.intel.revocation_lists(this_update=yesterday, next_update=self.at + MONTH)
        minor, _, microcode = self.tdx.tee_tcb_svn[:3]
        versions = {"module": minor, "microcode": microcode, "pce": self.tdx.pce_svn, "qe": self.tdx.qe_svn}
        return {"minimum_tcb": versions, "revocation_lists": [_text(der) for der in lists]}


@dataclass(frozen=True, slots=True)
class _SecureProcessor:
    """The device of a machine, and a host that provides certificates."""

    machine: FakeMachine

    def request_report(self, report_data: bytes, *, vmpl: int | None = None) -> DeviceReport:
        machine = self.machine if vmpl is None else replace(self.machine, vmpl=vmpl)
        return DeviceReport(machine.report(report_data), certificate_table(machine))


def _text(der: bytes) -> str:
    return base64.b64encode(der).decode("ascii")
