# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What makes an SEV-SNP host, found in the files of hosts: every single thing that is missing is named with its fix."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.constellation.core.plugins.module_utils import snp_host
from ansible_collections.constellation.core.plugins.module_utils.host_files import HostFiles, run_program, version_of
from ansible_collections.constellation.core.plugins.module_utils.sev_firmware import (
    SevDeviceError,
    SevFirmware,
    SnpStatus,
    product_line,
    split_tcb,
)
from ansible_collections.constellation.core.plugins.module_utils.snp_host import (
    Asked,
    Finding,
    is_ready,
    look_at,
    verdict,
)
from attestation.snp.product import Product
from constellation_engine.machines import firmware
from tests.collection.snp_host.described_hosts import CHIP, INTEL, REPORTED_TCB, SNP, WITHOUT_SNP, answer, refuse

if TYPE_CHECKING:
    from tests.collection.snp_host.described_hosts import DescribedHost

NO_IDENTIFIERS = SNP.but("sys/fs/cgroup/misc.capacity", "sev 509\nsev_es 0\n").saying("dmesg --color=never", "")


def findings_of(described: DescribedHost, root: Path, asked: Asked | None = None) -> list[Finding]:
    return look_at(described.host(root), described.sev(root), asked or Asked(4096, {}))


def missing(described: DescribedHost, root: Path, asked: Asked | None = None) -> list[str]:
    return [finding.name for finding in findings_of(described, root, asked) if not finding.ok]


def test_an_snp_host_lacks_nothing(tmp_path: Path) -> None:
    findings = findings_of(SNP, tmp_path)
    assert [finding for finding in findings if not finding.ok] == []
    assert is_ready(findings)
    assert verdict(findings) == "This host can start SEV-SNP guests."


def test_a_host_without_snp_is_told_everything_at_once(tmp_path: Path) -> None:
    assert missing(WITHOUT_SNP, tmp_path) == [
        "processor features",
        "kernel command line",
        "RMP table",
        "kvm_amd.sev",
        "kvm_amd.sev_es",
        "kvm_amd.sev_snp",
        "encrypted guests",
        "/dev/sev",
        "firmware",
        "QEMU",
        "swtpm",
    ]


def test_a_host_of_another_maker_needs_another_processor(tmp_path: Path) -> None:
    findings = {finding.name: finding for finding in findings_of(INTEL, tmp_path)}
    assert "another processor" in findings["processor"].fix
    assert "Xeon" in findings["processor"].found
    assert not findings["IOMMU"].ok
    assert not is_ready(list(findings.values()))


@pytest.mark.parametrize(
    "described, name",
    [
        (SNP.but("proc/cpuinfo", None), "processor"),
        (SNP.but("proc/cpuinfo", SNP.files["proc/cpuinfo"].replace("svm", "svm hypervisor")), "bare metal"),
        (SNP.but("proc/cmdline", "quiet amd_iommu=pgtbl_v2,off"), "kernel command line"),
        (SNP.but("proc/cmdline", "iommu=pt"), "kernel command line"),
        (SNP.but("proc/cmdline", "sev=debug,nosnp"), "kernel command line"),
        (SNP.but("proc/cmdline", "kvm-amd.sev-snp=0"), "kernel command line"),
        (SNP.but("sys/class/iommu/ivhd0/amd-iommu/cap", None), "IOMMU"),
        (SNP.but("sys/module/kvm_amd/parameters/sev_es", "N"), "kvm_amd.sev_es"),
        (
            SNP.but("sys/fs/cgroup/misc.capacity", "sev 509\nsev_es 0\n").saying("dmesg --color=never", ""),
            "encrypted guests",
        ),
        (SNP.but("dev/kvm", None), "KVM"),
        (SNP.but("proc/meminfo", "MemTotal: 2000000 kB"), "memory"),
        (SNP.but("usr/share/OVMF/OVMF.amdsev.fd", None), "OVMF"),
        (SNP.saying("qemu-system-x86_64 --version", "QEMU emulator version 9.0.2"), "QEMU"),
        (SNP.saying("swtpm --version", ""), "swtpm"),
    ],
)
def test_one_thing_that_is_missing_is_named_with_its_fix(described: DescribedHost, name: str, tmp_path: Path) -> None:
    lacking = [finding for finding in findings_of(described, tmp_path) if not finding.ok]
    assert name in [finding.name for finding in lacking]
    assert all(finding.fix and finding.expected and finding.found for finding in lacking)


def test_an_old_kernel_that_brings_snp_is_new_enough(tmp_path: Path) -> None:
    assert missing(SNP.but("proc/sys/kernel/osrelease", "5.14.0-570.el9"), tmp_path) == []


def test_firmware_below_what_is_asked_for_is_named(tmp_path: Path) -> None:
    low = Asked(4096, {"snp": 0x18, "microcode": 0xDC})
    findings = [finding for finding in findings_of(SNP, tmp_path, low) if not finding.ok]
    assert [finding.name for finding in findings] == ["TCB"]
    assert "microcode 219" in findings[0].found


def test_certificates_are_looked_for_where_they_are_kept(tmp_path: Path) -> None:
    asked = Asked(4096, {}, "/var/lib/constellation/certificates")
    lacking = [finding for finding in findings_of(SNP, tmp_path, asked) if not finding.ok]
    assert [finding.name for finding in lacking] == ["certificates"]
    assert is_ready(lacking)
    kept = SNP
    for name in snp_host.certificate_files("Milan", REPORTED_TCB):
        kept = kept.but(f"var/lib/constellation/certificates/{name}", "")
    assert missing(kept, tmp_path, asked) == []


def test_the_firmware_says_who_it_is(tmp_path: Path) -> None:
    sev = SNP.sev(tmp_path)
    assert sev.api_version() == "1.55 build 31"
    assert sev.chip_ids() == [CHIP]
    assert sev.snp_status().guests == 2
    assert split_tcb("Milan", sev.snp_status().reported_tcb) == {"bootloader": 4, "tee": 0, "snp": 24, "microcode": 219}


def test_a_firmware_that_refuses_is_heard(tmp_path: Path) -> None:
    device = tmp_path / "sev"
    device.touch()
    with pytest.raises(SevDeviceError, match="firmware error 0x1"):
        SevFirmware(device, refuse).snp_status()
    with pytest.raises(SevDeviceError, match="it is not there"):
        SevFirmware(tmp_path / "absent", answer).snp_status()


@given(st.binary(max_size=40))
def test_any_status_is_read_or_refused(data: bytes) -> None:
    try:
        status = SnpStatus.parse(data)
    except SevDeviceError:
        assert len(data) < 32
    else:
        assert status.reported_tcb == data[24:32]


@given(st.text())
def test_any_text_may_stand_in_a_file(text: str) -> None:
    version_of(text)


@given(damaged=st.dictionaries(st.sampled_from(sorted(SNP.files)), st.text()), said=st.text())
def test_damaged_files_are_findings(damaged: dict[str, str], said: str) -> None:
    host = HostFiles(Path("/nowhere"), lambda _: said)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host, "text", lambda path: damaged.get(path, ""))
        assert verdict(look_at(host, SevFirmware(Path("/nowhere")), Asked(4096, {})))


def test_the_library_knows_the_same_products_and_places() -> None:
    for family in (0x17, 0x19, 0x1A):
        for model in range(0x100):
            assert product_line(family, model) == str(Product.from_cpuid(family, model) or "")
    for product in Product:
        raw = bytes(range(8))
        assert split_tcb(product.value, raw) == product.tcb(raw)
    assert snp_host.OVMF == firmware._KNOWN_SNP


def test_structures_are_those_of_the_kernel() -> None:
    assert struct.calcsize("<IQI") == 16  # what the number of the ioctl says


def test_programs_that_fail_say_nothing() -> None:
    assert run_program(("false",)) == ""
    assert run_program(("no-such-program",)) == ""
    assert HostFiles().text("proc/sys/kernel/osrelease") == HostFiles(run=lambda _: "").text(
        "proc/sys/kernel/osrelease"
    )
