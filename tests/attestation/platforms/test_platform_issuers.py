# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Issuers collect what validators accept, and say plainly what is missing."""

from __future__ import annotations

import hashlib
import shutil
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from attestation import Policy, Variant, judge
from attestation.aws.issuer import NitroTool
from attestation.azure.hcl import HashType
from attestation.azure.issuer import HCL_REPORT, USER_DATA
from attestation.errors import DeviceError, EndorsementError, MalformedError
from attestation.issuer import Devices, issuer_for, open_issuer
from attestation.qemu.issuer import VtpmIssuer
from attestation.testing.node import FakeNode
from attestation.testing.swtpm import running_swtpm
from attestation.testing.tpm import SoftwareTpm
from attestation.tpm.client import Tpm
from attestation.tpm.issuer import TpmIssuer
from attestation.variant import Technology

if TYPE_CHECKING:
    from pathlib import Path

BINDING = hashlib.sha256(b"binding").digest()
PARAVISOR = (Variant.AZURE_SEV_SNP, Variant.AZURE_TDX)


@pytest.mark.parametrize("variant", Variant)
def test_an_issuer_knows_its_variant(variant: Variant) -> None:
    issuer = FakeNode(variant).issuer()
    assert issuer.variant is variant
    assert issuer.issue(BINDING).variant is variant


@pytest.mark.parametrize("variant", [v for v in Variant if v.technologies and Technology.TPM in v.technologies])
def test_no_tpm_is_said(variant: Variant) -> None:
    with pytest.raises(DeviceError, match=f"evidence of {variant} needs a TPM") as caught:
        issuer_for(variant, Devices())
    assert caught.value.hint


@pytest.mark.parametrize("variant", [Variant.QEMU_SNP, Variant.AWS_SEV_SNP, Variant.GCP_SEV_SNP])
def test_no_secure_processor_is_said(variant: Variant) -> None:
    with pytest.raises(DeviceError, match="needs an AMD secure processor"):
        issuer_for(variant, Devices(tpm=SoftwareTpm()))


@pytest.mark.parametrize("variant", PARAVISOR)
def test_the_paravisor_is_asked_for_a_fresh_report(variant: Variant) -> None:
    node = FakeNode(variant)
    node.evidence(BINDING)
    assert node.tpm.nv[USER_DATA] == BINDING + bytes(32)


def test_a_tpm_without_the_report_is_said() -> None:
    node = FakeNode(Variant.AZURE_SEV_SNP)
    issuer = issuer_for(Variant.AZURE_SEV_SNP, Devices(tpm=node.tpm, azure=node.host))
    with pytest.raises(DeviceError, match="TPM2_NV_ReadPublic"):
        issuer.issue(BINDING)


def test_a_paravisor_with_another_hash_is_said() -> None:
    node = FakeNode(Variant.AZURE_SEV_SNP)
    blob = bytearray(node.paravisor.nv_read(HCL_REPORT))
    blob[32 + 1184 + 12] = HashType.SHA384
    node.tpm.nv[HCL_REPORT] = bytes(blob)
    with pytest.raises(DeviceError, match="algorithm 2, expected SHA-256"):
        issuer_for(Variant.AZURE_SEV_SNP, Devices(tpm=node.tpm, azure=node.host)).issue(BINDING)


def test_the_hardware_of_another_variant_is_said() -> None:
    snp, tdx = (FakeNode(variant) for variant in PARAVISOR)
    with pytest.raises(MalformedError, match="HCL report is of type 4"):
        issuer_for(Variant.AZURE_SEV_SNP, Devices(tpm=tdx.paravisor, azure=snp.host)).issue(BINDING)


@pytest.mark.parametrize("variant", [Variant.AZURE_TRUSTED_LAUNCH, Variant.GCP_SEV_ES, Variant.GCP_SEV_SNP])
def test_a_machine_without_a_certificate_issues_without_one(variant: Variant) -> None:
    node = FakeNode(variant)
    assert "ak_certificate" not in node.issuer().issue(BINDING).platform


def test_a_certificate_is_cut_out_of_a_larger_index() -> None:
    node = FakeNode(Variant.QEMU_VTPM)
    certificate = node.authority.certify(node.endorsement_key.public_key())
    node.tpm.nv[0x01C00002] = certificate + bytes(500)
    assert node.issuer().issue(BINDING).platform["ek_certificate"] == certificate


def test_aws_without_the_nitro_system_issues_a_quote_alone() -> None:
    issuer = issuer_for(Variant.AWS_NITRO_TPM, Devices(tpm=SoftwareTpm()))
    assert issuer.issue(BINDING).platform == {}


@pytest.fixture
def swtpm_directory(tmp_path: Path) -> Path:
    for program in ("swtpm", "swtpm_setup"):
        if shutil.which(program) is None:
            pytest.skip(f"the program {program} is not installed (Debian: swtpm, swtpm-tools)")
    return tmp_path


def test_a_real_vtpm_with_a_certified_endorsement_key(swtpm_directory: Path) -> None:
    with running_swtpm(swtpm_directory) as swtpm, Tpm.open(swtpm.address) as tpm:
        source = TpmIssuer(tpm, boot_log=swtpm_directory / "no boot log")
        evidence = VtpmIssuer(Variant.QEMU_VTPM, source).issue(BINDING)
        root = swtpm.issuing_certificate.decode("ascii")
    assert evidence.tpm is not None
    registers = {"4": {"expected": evidence.tpm.pcrs[4].hex(), "enforced": True}}
    fields = {"variant": "qemu-vtpm", "measurements": registers, "ek_roots": [root]}
    verdict = judge(evidence, Policy.from_mapping(fields), binding=BINDING, at=datetime.now(UTC))
    assert [mismatch.name for mismatch in verdict.mismatches] == ["ek_roots"]
    assert "credential activation" in verdict.mismatches[0].got


def test_devices_are_opened_by_variant(swtpm_directory: Path) -> None:
    with (
        running_swtpm(swtpm_directory, endorsed=False) as swtpm,
        open_issuer(Variant.OPENSTACK_VTPM, tpm=swtpm.address) as issuer,
    ):
        assert issuer.variant is Variant.OPENSTACK_VTPM


@pytest.mark.parametrize("variant", [Variant.QEMU_TDX, Variant.GCP_TDX, Variant.INSECURE])
def test_variants_without_a_tpm_open_none(variant: Variant) -> None:
    with open_issuer(variant, tpm="/no/such/tpm") as issuer:
        assert issuer.variant is variant


@pytest.mark.parametrize("variant", [Variant.QEMU_VTPM, Variant.AZURE_SEV_SNP, Variant.GCP_SEV_ES])
def test_no_device_is_said(variant: Variant) -> None:
    with pytest.raises(DeviceError, match="no TPM at /no/such/tpm"), open_issuer(variant, tpm="/no/such/tpm"):
        pass


PROGRAM = """#!{python}
import sys
named = dict(zip(sys.argv[1::2], sys.argv[2::2]))
sys.stdout.buffer.write(open(named["--nonce"], "rb").read() + b"|" + open(named["--user-data"], "rb").read())
"""


def program(tmp_path: Path, text: str) -> str:
    path = tmp_path / "nitro-tpm-attest"
    path.write_text(text)
    path.chmod(0o700)
    return str(path)


def test_awss_program_gets_nonce_and_user_data(tmp_path: Path) -> None:
    tool = NitroTool(program(tmp_path, PROGRAM.format(python=sys.executable)))
    assert tool.document(nonce=b"nonce", user_data=b"key") == b"nonce|key"


def test_a_program_that_fails_is_said(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="no attestation document"):
        NitroTool(program(tmp_path, "#!/bin/sh\nexit 3\n")).document(nonce=b"", user_data=b"")


def test_a_program_that_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="no attestation document"):
        NitroTool(str(tmp_path / "missing")).document(nonce=b"", user_data=b"")


def test_certificates_that_the_host_does_not_have_are_said() -> None:
    node = FakeNode(Variant.AZURE_SEV_SNP)
    node.host.snp = None
    with pytest.raises(EndorsementError, match="404"):
        node.evidence(BINDING)
