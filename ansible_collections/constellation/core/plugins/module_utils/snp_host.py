# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a host can start SEV-SNP guests: what was looked at, what is missing, and what to do about each.

After AMD 58207 (SEV-SNP platform attestation and host setup) for the settings of a BIOS, Linux 6.11 for what its KVM
needs, and AMD 56860 for the firmware. Every check is one function; none changes anything, and none trusts another: a
host that lacks much is told all of it at once. Nothing but Python 3.9 is needed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ansible_collections.constellation.core.plugins.module_utils.host_files import is_switched_on, version_of
from ansible_collections.constellation.core.plugins.module_utils.sev_firmware import (
    SevDeviceError,
    product_line,
    split_tcb,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ansible_collections.constellation.core.plugins.module_utils.host_files import HostFiles
    from ansible_collections.constellation.core.plugins.module_utils.sev_firmware import SevFirmware, SnpStatus

KERNEL = (6, 11)  # the first whose KVM starts SNP guests
QEMU = (9, 1)  # the first that does
FIRMWARE = (1, 51)  # interface that Linux asks for
MEMORY = 4096  # MiB; the host and one guest

OVMF = (
    "/usr/share/OVMF/OVMF.amdsev.fd",  # Debian
    "/usr/share/ovmf/OVMF.amdsev.fd",  # Ubuntu
    "/usr/share/edk2/ovmf/OVMF.amdsev.fd",  # Fedora
    "/usr/share/qemu/ovmf-x86_64-sev.bin",  # openSUSE
)
"""Where builds of OVMF are that measure what is booted; the same places as the library's."""

BIOS_MENU = "Advanced > AMD CBS > CPU Common Options"
_SWITCH_ON = f"in the BIOS ({BIOS_MENU}): SMEE Enabled, SEV Control Enabled, SNP Memory (RMP Table) Coverage Enabled"
_NEWER_KERNEL = "install Linux 6.11 or newer: Debian 13, Ubuntu 25.04, Fedora 41 or a backport have it"
_LET_ROLE = "let the role constellation.core.snp_host set it, then boot again"
_RMP_SAID = ("RMP table physical range", "RMP table physical address", "RMP segment")
_BAD_PARAMETERS = (
    ("iommu", {"pt", "off"}, "SNP is off where the IOMMU passes through"),
    ("amd_iommu", {"off"}, "SNP needs the IOMMU"),
    ("iommu.passthrough", {"1"}, "SNP is off where the IOMMU passes through"),
    ("amd_iommu_pgtable", {"v2"}, "SNP needs page tables of version 1"),
    ("sev", {"nosnp"}, "it switches SNP off"),
    ("mem_encrypt", {"off"}, "it switches memory encryption off"),
    ("kvm_amd.sev", {"0", "N", "n"}, "it switches SEV off"),
    ("kvm_amd.sev_es", {"0", "N", "n"}, "it switches SEV-ES off"),
    ("kvm_amd.sev_snp", {"0", "N", "n"}, "it switches SNP off"),
)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: what it is.
        ok: whether it is as it should be.
        expected: what it should be.
        found: what it is.
        fix: what to do; "" where there is nothing to do.
        needed: whether SNP guests need it; else a host is only better with it.
    """

    name: str
    ok: bool
    expected: str
    found: str
    fix: str = ""
    needed: bool = True


@dataclass(frozen=True)
class Asked:
    """What whoever asks wants of a host besides what SNP needs.

    Attributes:
        memory: MiB that there must be.
        minimum_tcb: component → security version that there must be at least.
        certificates: folder with the certificates of the processor; "" where nobody keeps them.
    """

    memory: int
    minimum_tcb: Mapping[str, int]
    certificates: str = ""


def look_at(host: HostFiles, firmware: SevFirmware, asked: Asked) -> list[Finding]:
    """Look at everything, in the order in which one repairs it."""
    return [
        _processor(host),
        _bare_metal(host),
        _bios(host),
        _features(host),
        _kernel(host),
        _command_line(host),
        _iommu(host),
        _rmp(host),
        _kvm(host),
        *_parameters(host),
        _encrypted_guests(host),
        _device(firmware),
        *_firmware(host, firmware, asked),
        _memory(host, asked.memory),
        _qemu(host),
        _ovmf(host),
        _swtpm(host),
    ]


def verdict(findings: list[Finding]) -> str:
    """Say in one sentence whether SNP guests can start, and what is missing where they cannot."""
    missing = [finding for finding in findings if finding.needed and not finding.ok]
    if not missing:
        return "This host can start SEV-SNP guests."
    said = "; ".join(f"{finding.name}: expected {finding.expected}, found {finding.found}" for finding in missing)
    return f"This host cannot start SEV-SNP guests, {len(missing)} of {len(findings)} checks failed: {said}."


def is_ready(findings: list[Finding]) -> bool:
    """Whether nothing that is needed is missing."""
    return all(finding.ok for finding in findings if finding.needed)


def records(findings: list[Finding]) -> list[dict[str, object]]:
    """Give plain data."""
    return [asdict(finding) for finding in findings]


def _judged(name: str, expected: str, found: str, fix: str, *, ok: bool, needed: bool = True) -> Finding:
    return Finding(name, ok, expected, found or "nothing", "" if ok else fix, needed)


def _processor(host: HostFiles) -> Finding:
    processor = host.processor()
    line = product_line(processor.family, processor.model) if processor.vendor == "AuthenticAMD" else ""
    found = f"{processor.vendor} family {processor.family:#x} model {processor.model:#x} ({processor.name})"
    fix = "no setting helps: SEV-SNP guests need another processor"
    known = f"{found}, {line}" if line else found
    return _judged("processor", "AMD EPYC 7003 (Milan), 9004 (Genoa) or 9005 (Turin)", known, fix, ok=bool(line))


def _bare_metal(host: HostFiles) -> Finding:
    virtual = "hypervisor" in host.processor().flags
    fix = "run this on the server itself: no hypervisor hands SEV-SNP on to its guests"
    return _judged("bare metal", "no hypervisor below", "a hypervisor" if virtual else "none", fix, ok=not virtual)


def _bios(host: HostFiles) -> Finding:
    """Name the BIOS: which one is new enough, only its maker says."""
    parts = [host.text(f"sys/class/dmi/id/{name}") for name in ("board_name", "bios_vendor", "bios_version")]
    found = " ".join(filter(None, (*parts, host.text("sys/class/dmi/id/bios_date"))))
    microcode = host.processor().microcode
    fix = "read /sys/class/dmi/id as root; a BIOS from the server's maker brings the firmware of the processor"
    said = f"{found}, microcode {microcode}" if found and microcode else found
    return _judged("BIOS", "a name, to compare with what its maker says", said, fix, ok=bool(found), needed=False)


def _features(host: HostFiles) -> Finding:
    flags = host.processor().flags
    there = [flag for flag in ("svm", "sme", "sev", "sev_es", "sev_snp") if flag in flags]
    # Kernels before 6.11 do not name sev_snp; the checks of kernel and RMP speak of it.
    needed = {"svm", "sev", "sev_es"}
    fix = f"{_SWITCH_ON}, SVM Enabled"
    return _judged("processor features", "svm sev sev_es sev_snp", " ".join(there), fix, ok=needed <= set(there))


def _kernel(host: HostFiles) -> Finding:
    release = host.text("proc/sys/kernel/osrelease")
    # Distributions bring KVM's part of SNP to older kernels, too: the module says so itself.
    ported = "sev_snp" in host.module_parameters("kvm_amd")
    ok = ported or (version_of(release) or (0, 0)) >= KERNEL
    return _judged("kernel", "Linux 6.11 or newer, or SNP brought to an older one", release, _NEWER_KERNEL, ok=ok)


def _command_line(host: HostFiles) -> Finding:
    said = host.command_line()
    bad = [
        (f"{name}={value}", reason)
        for name, values, reason in _BAD_PARAMETERS
        for parameter, given in said
        if parameter == name
        for value in given.split(",")
        if value in values
    ]
    found = ", ".join(f"{text} ({reason})" for text, reason in bad) or "none of those"
    fix = f"take {' '.join(one[0] for one in bad)} off the kernel's command line (the role snp_host does), boot again"
    return _judged("kernel command line", "nothing that switches SNP off", found, fix, ok=not bad)


def _iommu(host: HostFiles) -> Finding:
    there = [name for name in host.names("sys/class/iommu") if name.startswith("ivhd")]
    fix = "in the BIOS (Advanced > AMD CBS > NBIO Common Options): IOMMU Enabled, SEV-SNP Support Enabled"
    return _judged("IOMMU", "AMD's IOMMU at work (ivhd…)", " ".join(there), fix, ok=bool(there))


def _rmp(host: HostFiles) -> Finding:
    said = next((line for line in host.kernel_log() if any(words in line for words in _RMP_SAID)), "")
    # A long-lived host's log has lost its beginning: SNP in KVM says that there is a table as well.
    works = is_switched_on(host.module_parameters("kvm_amd").get("sev_snp", ""))
    found = said or ("nothing in the kernel's log, but KVM has SNP" if works else "")
    fix = f"in the BIOS ({BIOS_MENU}): SNP Memory (RMP Table) Coverage Enabled"
    return _judged("RMP table", "memory reserved by the BIOS", found, fix, ok=bool(said) or works)


def _kvm(host: HostFiles) -> Finding:
    there = "kvm" in host.names("dev")
    fix = "in the BIOS: SVM Enabled; then modprobe kvm_amd"
    return _judged("KVM", "/dev/kvm", "/dev/kvm" if there else "", fix, ok=there)


def _parameters(host: HostFiles) -> Iterator[Finding]:
    parameters = host.module_parameters("kvm_amd")
    for name in ("sev", "sev_es", "sev_snp"):
        value = parameters.get(name, "")
        ok = is_switched_on(value)
        fix = _LET_ROLE if value else "load the module kvm_amd of a kernel that has SNP: modprobe kvm_amd"
        found = f"kvm_amd.{name}={value}" if value else "no such parameter" if parameters else "no module kvm_amd"
        yield _judged(f"kvm_amd.{name}", f"kvm_amd.{name}=Y", found, fix, ok=ok)


def _encrypted_guests(host: HostFiles) -> Finding:
    """See that some address space identifiers are for guests with encrypted state: the BIOS may have kept all."""
    lines = (line.split() for line in host.text("sys/fs/cgroup/misc.capacity").splitlines())
    numbers = {words[0]: words[1] for words in lines if words[1:]}
    said = next((line for line in host.kernel_log() if "SEV-SNP enabled (ASIDs" in line), "")
    number = numbers.get("sev_es", "")
    found = f"{number} identifiers" if number else said
    fix = f"in the BIOS ({BIOS_MENU}): SEV-ES ASID Space Limit larger than 1"
    ok = number not in {"", "0"} or bool(said)
    return _judged("encrypted guests", "at least one identifier (ASID) for them", found, fix, ok=ok)


def _device(firmware: SevFirmware) -> Finding:
    fix = "modprobe ccp; its driver makes it where the BIOS has SEV switched on. Only root may open it"
    try:
        version = firmware.api_version()
    except SevDeviceError as error:
        return _judged("/dev/sev", "a device that answers", str(error), fix, ok=False)
    return _judged("/dev/sev", "a device that answers", f"SEV interface {version}", fix, ok=True)


def _firmware(host: HostFiles, firmware: SevFirmware, asked: Asked) -> Iterator[Finding]:
    expected = f"SNP interface {FIRMWARE[0]}.{FIRMWARE[1]} or newer, initialised"
    fix = "update the BIOS, or put newer firmware of AMD into /lib/firmware/amd; then boot again"
    try:
        status = firmware.snp_status()
    except SevDeviceError as error:
        yield _judged("firmware", expected, str(error), fix, ok=False)
        return
    version = f"{status.version[0]}.{status.version[1]} build {status.build}"
    state = "initialised" if status.initialised and status.rmp_initialised else "not initialised"
    ok = status.version >= FIRMWARE and state == "initialised"
    yield _judged("firmware", expected, f"{version}, {state}", fix, ok=ok)
    processor = host.processor()
    product = product_line(processor.family, processor.model)
    yield _tcb(split_tcb(product, status.reported_tcb), asked.minimum_tcb)
    if asked.certificates:
        yield _certificates(host, product, status, asked.certificates)


def _tcb(reported: Mapping[str, int], minimum: Mapping[str, int]) -> Finding:
    low = [name for name, least in minimum.items() if reported.get(name, 0) < least]
    expected = _words(minimum) if minimum else "any"
    fix = "update the BIOS or the firmware of the processor, then commit it: snphost commit"
    return _judged("TCB", f"at least {expected}" if minimum else expected, _words(reported), fix, ok=not low)


def _certificates(host: HostFiles, product: str, status: SnpStatus, folder: str) -> Finding:
    """See that the certificate of the processor's key is kept: AMD's service limits how often it is asked."""
    wanted = certificate_files(product, status.reported_tcb)
    there = host.names(folder.lstrip("/"))
    missing = [name for name in wanted if name not in there]
    found = f"{folder} without {', '.join(missing)}" if missing else folder
    fix = "fetch them: constellation.core.snp_certificates, or the role snp_host; nodes can also ask AMD themselves"
    return _judged("certificates", ", ".join(wanted), found, fix, ok=not missing, needed=False)


def certificate_files(product: str, reported_tcb: bytes) -> tuple[str, str]:
    """Name the files that keep the certificates of a host: of the product line, and of the processor at its TCB.

    Args:
        product: as `product_line` names it.
        reported_tcb: 8 bytes.
    """
    return f"{product.lower()}-chain.pem", f"vcek-{reported_tcb.hex()}.der"


def _memory(host: HostFiles, least: int) -> Finding:
    there = host.memory()
    fix = "add memory, or ask for less: option memory"
    return _judged("memory", f"at least {least} MiB", f"{there} MiB", fix, ok=there >= least)


def _qemu(host: HostFiles) -> Finding:
    said = host.program_version("qemu-system-x86_64", "--version")
    ok = (version_of(said) or (0, 0)) >= QEMU
    fix = "install QEMU 9.1 or newer: Debian 13, Ubuntu 25.04, Fedora 42 or a backport have it"
    return _judged("QEMU", "9.1 or newer", said or "not installed", fix, ok=ok)


def _ovmf(host: HostFiles) -> Finding:
    found = host.first_file(OVMF)
    fix = "install ovmf-amdsev (Debian 14), ovmf (Ubuntu), edk2-ovmf (Fedora) or qemu-ovmf-x86_64 (openSUSE)"
    return _judged("OVMF", "a build that measures what is booted (OVMF.amdsev.fd)", found, fix, ok=bool(found))


def _swtpm(host: HostFiles) -> Finding:
    said = host.program_version("swtpm", "--version")
    fix = "install swtpm and swtpm-tools: guests of variant qemu-vtpm need them, SNP guests do not"
    return _judged("swtpm", "any version", said or "not installed", fix, ok=bool(said), needed=False)


def _words(versions: Mapping[str, int]) -> str:
    return " ".join(f"{name} {version}" for name, version in versions.items())
