# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""How fast a machine may run: KVM where a guest really runs, else TCG, which emulates every instruction.

That /dev/kvm opens says nothing: in nested virtualization a guest may die at its first unusual instruction. So we boot
our own firmware under KVM and see whether it says a word; the answer holds until the host boots again.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from constellation_engine.machines.disks import ImageFormat
from constellation_engine.machines.firmware import find_ovmf
from constellation_engine.machines.programs import QEMU, find_program
from constellation_engine.user_folders import cache_folder

if TYPE_CHECKING:
    from collections.abc import Callable

KVM_DEVICE: Final = Path("/dev/kvm")
PROBE_TIMEOUT: Final = 20.0  # seconds; with KVM the firmware speaks after one or two
_POLL_INTERVAL: Final = 0.02
_GUEST_DIED: Final = b"KVM internal error"  # QEMU says it, and pauses for ever
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


_TRANSLATIONS: Final = 2048  # MiB of translated code; QEMU has no more


class Accelerator(Enum):
    """Who runs the guest's instructions: QEMU's argument for that, the processor that goes with it, and MiB on top."""

    KVM = ("kvm", "host", 128)
    # In TCG of QEMU 7.2, 57-bit addresses and cmpxchg16b are slow or wrong, and `rep movsb`, with which a kernel copies
    # where the processor says that it is fast (erms), goes byte by byte. A control plane that comes up fills a cache of
    # 1 GiB of translations three times, and each time all of them are thrown away.
    TCG = (f"tcg,thread=multi,tb-size={_TRANSLATIONS}", "max,la57=off,-cx16,-erms", 128 + _TRANSLATIONS)

    @property
    def arguments(self) -> list[str]:
        """Arguments of QEMU."""
        accelerator, processor, _ = self.value
        return ["-accel", accelerator, "-cpu", processor]

    @property
    def overhead(self) -> int:
        """MiB that QEMU takes in the end, beside the memory of its guest."""
        return self.value[2]


@dataclass(frozen=True, slots=True)
class Probe:
    """Whether KVM can be used.

    Attributes:
        usable: a guest ran.
        reason: why not, for people; empty where it can.
    """

    usable: bool
    reason: str = ""

    @property
    def accelerator(self) -> Accelerator:
        """What machines use."""
        return Accelerator.KVM if self.usable else Accelerator.TCG


def probe_kvm(report: Callable[[str], None] = lambda _: None) -> Probe:
    """See whether a guest runs under KVM.

    The answer is kept in the user's cache (`kvm-….json`) until the host boots again, or QEMU changes.

    Args:
        report: told when it takes a moment.

    Raises:
        MissingProgramError: QEMU or its firmware is not installed.
    """
    if not os.access(KVM_DEVICE, os.R_OK | os.W_OK):
        exists = KVM_DEVICE.exists()
        return Probe(usable=False, reason="no access: join the group kvm" if exists else f"there is no {KVM_DEVICE}")
    program = find_program(QEMU)
    answer = _cache_file(program)
    try:
        return Probe(**json.loads(answer.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        report("trying whether a guest runs under KVM")
    probe = _boot(program)
    answer.parent.mkdir(parents=True, exist_ok=True)
    for stale in answer.parent.glob("kvm-*.json"):
        stale.unlink(missing_ok=True)
    answer.write_text(json.dumps(asdict(probe)), encoding="utf-8")
    return probe


def _cache_file(program: Path) -> Path:
    """Give the file that knows the answer for this boot and this QEMU."""
    version = f"{_BOOT_ID.read_text(encoding='ascii')} {program.resolve()} {program.stat().st_mtime_ns}"
    return cache_folder() / f"kvm-{hashlib.sha256(version.encode()).hexdigest()[:16]}.json"


def _boot(program: Path) -> Probe:
    """Boot the firmware with nothing to boot from, and wait for its first word on the serial console."""
    code = find_ovmf().code
    with tempfile.TemporaryDirectory(prefix="constellation-kvm-") as name:
        console, log = Path(name) / "console", Path(name) / "log"
        flash = f"if=pflash,format={ImageFormat.of(code)},unit=0,readonly=on,file={code}"
        arguments = ["-machine", "q35,smm=off", *Accelerator.KVM.arguments, "-m", "256", "-drive", flash]
        arguments += ["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", f"file:{console}"]
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - every argument is ours
                [program, *arguments], stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        try:
            answered = _wait_for_a_word(process, console, log)
        finally:
            process.kill()
            process.wait()
        said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    if answered:
        return Probe(usable=True)
    return Probe(usable=False, reason=f"a guest does not run: {said[0] if said else 'its firmware says nothing'}")


def _wait_for_a_word(process: subprocess.Popen[bytes], console: Path, log: Path) -> bool:
    deadline = time.monotonic() + PROBE_TIMEOUT
    while time.monotonic() < deadline:
        ended = process.poll() is not None or _GUEST_DIED in log.read_bytes()
        if console.exists() and console.stat().st_size:
            return True
        if ended:
            break
        time.sleep(_POLL_INTERVAL)
    return False
