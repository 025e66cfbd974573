# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""An emulated machine with a TPM, and the parts of images that boot on it.

Stubs and kernels are those of Debian releases. They come from the mirror that this system's own apt is configured for,
and are kept in pytest's cache.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from dataclasses import dataclass
from enum import Enum
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from attestation.measured_boot.cpio import _entry
from attestation.testing.uki import add_sections

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

BOOT_TIMEOUT = 180  # seconds; a boot takes 12 on two shared cores
APT_TIMEOUT = 120
FIRMWARE = Path("/usr/share/OVMF")

INIT = b"""#!/bin/busybox sh
/bin/busybox mount -t devtmpfs none /dev
/bin/busybox mount -t sysfs none /sys
exec >/dev/ttyS0
cd /sys/class/tpm/tpm0/pcr-sha256
for register in *; do echo "register $register $(/bin/busybox cat $register)"; done
/bin/busybox poweroff -f
"""


class Firmware(Enum):
    """Builds of OVMF: code, variables, and the options that they need."""

    PLAIN = ("OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd", ("-machine", "q35,smm=off"))
    # Accepts images signed with a key that Debian publishes for tests.
    SECURE_BOOT = (
        "OVMF_CODE_4M.snakeoil.fd",
        "OVMF_VARS_4M.snakeoil.fd",
        ("-machine", "q35,smm=on", "-global", "driver=cfi.pflash01,property=secure,value=on"),
    )


@dataclass(frozen=True)
class Machine:
    """A machine that boots once."""

    folder: Path
    firmware: Firmware

    def boot(self, image: bytes) -> dict[int, bytes]:
        """Boot an image that prints its registers; give these by index."""
        partition, state = self.folder / "partition" / "EFI" / "BOOT", self.folder / "tpm"
        partition.mkdir(parents=True)
        state.mkdir()
        (partition / "BOOTX64.EFI").write_bytes(image)
        ours, theirs = socket.socketpair()
        control = f"type=unixio,clientfd={theirs.fileno()}"
        command = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={state}", "--ctrl", control]
        with ours, theirs, subprocess.Popen(command, pass_fds=[theirs.fileno()]) as tpm:
            try:
                console = self._run(ours.fileno())
            finally:
                tpm.terminate()
        registers = re.findall(r"register (\d+) ([0-9A-F]{64})", console)
        assert registers, f"the image did not reach its init:\n{console[-2000:]}"
        return {int(index): bytes.fromhex(value) for index, value in registers}

    def _run(self, tpm: int) -> str:
        code, variables, options = self.firmware.value
        shutil.copyfile(FIRMWARE / variables, self.folder / variables)
        drives = (
            f"if=pflash,format=raw,unit=0,readonly=on,file={FIRMWARE / code}",
            f"if=pflash,format=raw,unit=1,file={self.folder / variables}",
            f"if=none,id=disk,format=raw,readonly=on,file=fat:{self.folder / 'partition'}",
        )
        command = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max,la57=off,-cx16", "-m", "1024", *options]
        command += ["-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio"]
        command += chain.from_iterable(("-drive", drive) for drive in drives)
        command += ["-device", "virtio-blk-pci,drive=disk,bootindex=0"]
        command += ["-chardev", f"socket,id=tpm,fd={tpm}", "-tpmdev", "emulator,id=tpm0,chardev=tpm"]
        command += ["-device", "tpm-tis,tpmdev=tpm0"]
        run = subprocess.run(
            command,
            pass_fds=[tpm],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=BOOT_TIMEOUT,
            check=False,
        )
        return run.stdout.decode(errors="replace")


@dataclass(frozen=True)
class Parts:
    """What an image is made of, from one release of Debian."""

    stub: bytes
    kernel: bytes


@dataclass(frozen=True)
class Archive:
    """The archive of one release, by way of an apt that knows nothing of this system's packages."""

    codename: str
    folder: Path

    def parts(self) -> Parts:
        """Download systemd-stub and the kernel for virtual machines."""
        self._configure()
        self._run("apt-get", "update")
        depends = self._run("apt-cache", "depends", "linux-image-cloud-amd64")
        kernel = self._unpack(re.findall(r"Depends: (linux-image-\S+)", depends)[0])
        stub = self._unpack("systemd-boot-efi") / "usr/lib/systemd/boot/efi/linuxx64.efi.stub"
        return Parts(stub.read_bytes(), next((kernel / "boot").glob("vmlinuz-*")).read_bytes())

    def _configure(self) -> None:
        targets = self._run("apt-get", "indextargets", "--format", "$(ORIGIN) $(REPO_URI)", "Created-By: Packages")
        mirror = re.search(r"^Debian (\S+)$", targets, re.MULTILINE)
        if mirror is None:
            pytest.skip("apt is configured for no Debian mirror: the parts of a real image are Debian packages")
        keyring = next(Path("/usr/share/keyrings").glob("debian-archive-keyring.*"), None)
        trust = f"[signed-by={keyring}]" if keyring else ""
        sources, status = self.folder / "sources.list", self.folder / "status"
        sources.write_text(f"deb {trust} {mirror[1]} {self.codename} main\n")
        status.touch()
        directories = {"State": self.folder, "State::status": status, "Cache": self.folder}
        directories |= {"Etc::SourceList": sources, "Etc::SourceParts": self.folder / "none"}
        lines = [f'Dir::{name} "{path}";\n' for name, path in directories.items()]
        (self.folder / "apt.conf").write_text("".join([*lines, 'APT::Sandbox::User "root";\n']))

    def _unpack(self, package: str) -> Path:
        self._run("apt-get", "download", package)
        (file,) = self.folder.glob(f"{package}_*.deb")
        self._run("dpkg-deb", "--extract", str(file), package)
        return self.folder / package

    def _run(self, *command: str) -> str:
        configuration = self.folder / "apt.conf"
        environment = {**os.environ, **({"APT_CONFIG": str(configuration)} if configuration.exists() else {})}
        try:
            done = subprocess.run(
                command,
                cwd=self.folder,
                env=environment,
                check=True,
                capture_output=True,
                text=True,
                timeout=APT_TIMEOUT,
            )
        except (OSError, subprocess.SubprocessError) as error:
            pytest.skip(f"no packages of Debian {self.codename} to make an image of: {error}")
        return done.stdout


@pytest.fixture
def image(pytestconfig: pytest.Config, tmp_path: Path) -> Callable[[str, Mapping[str, bytes]], bytes]:
    """Gives an image with stub and kernel of a release of Debian and with an initrd that prints the registers.

    Arguments: codename of the release; contents of further sections by name.
    """
    assert pytestconfig.cache is not None
    cache = pytestconfig.cache.mkdir("measured_boot")

    def build(codename: str, sections: Mapping[str, bytes]) -> bytes:
        stub, kernel = cache / f"{codename}.stub", cache / f"{codename}.kernel"
        if not kernel.exists():
            parts = Archive(codename, tmp_path).parts()
            stub.write_bytes(parts.stub)
            kernel.write_bytes(parts.kernel)
        return add_sections(stub.read_bytes(), {**sections, ".initrd": make_initrd(), ".linux": kernel.read_bytes()})

    return build


def make_initrd() -> bytes:
    """Make an initrd whose size is odd, so that what the stub appends needs padding."""
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("busybox is not installed: the initrd is made of it")
    folders = [_entry(inode, 0o040755, name) for inode, name in enumerate(("bin", "dev", "sys"), start=1)]
    files = [_entry(4, 0o100755, "bin/busybox", Path(busybox).read_bytes()), _entry(5, 0o100755, "init", INIT)]
    return b"".join([*folders, *files, _entry(0, 0, "TRAILER!!!"), b"\0"])


@pytest.fixture
def boot(tmp_path: Path) -> Callable[[bytes], dict[int, bytes]]:
    """Boots an image and gives the registers by index."""
    return make_machine(tmp_path, Firmware.PLAIN).boot


@pytest.fixture
def secure_boot(tmp_path: Path) -> Callable[[bytes], dict[int, bytes]]:
    """Boots an image that is signed with Debian's test key, and gives the registers by index."""
    return make_machine(tmp_path, Firmware.SECURE_BOOT).boot


def make_machine(folder: Path, firmware: Firmware) -> Machine:
    """Make a machine, or skip the test where it cannot run."""
    for program in ("qemu-system-x86_64", "swtpm"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: there is no machine to boot an image on")
    for file in firmware.value[:2]:
        if not (FIRMWARE / file).exists():
            pytest.skip(f"{FIRMWARE / file} is not there: the machine has no firmware")
    return Machine(folder, firmware)
