# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The guest, seen from outside: an emulated machine that boots what `build.py` made, and a socket to it."""

from __future__ import annotations

import json
import select
import shutil
import socket
import subprocess
import time
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any, Final

from tests.guest import archive
from tests.guest.build import build_system, build_wheels, pack_checkout
from tests.guest.plugin import QEMU

if TYPE_CHECKING:
    from collections.abc import Collection

    from tests.guest.build import Report

BOOT_TIMEOUT: Final = 180.0  # seconds; 15 are usual
MEMORY: Final = 2048  # MiB
DISK_SIZE: Final = 8 << 30  # bytes of /dev/disk/by-id/virtio-scratch; only those exist that a test wrote

_COMMAND_LINE: Final = "console=ttyS0 no_timer_check loglevel=4 panic=-1 nokaslr mitigations=off random.trust_cpu=on"
_LOG_TAIL: Final = 4000  # characters
_CHUNK: Final = 1 << 16


class GuestError(Exception):
    """The guest does not start, or died."""


class NoGuest:
    """What takes the place of a guest that cannot be had: each test says why.

    Args:
        reason: what happened.
    """

    def __init__(self, reason: Exception) -> None:
        self._reason = reason

    def run(self, test: str, limit: float) -> Any:  # noqa: ANN401, ARG002 - as that of a guest
        """Raise.

        Raises:
            GuestError: always.
        """
        raise GuestError(f"there is no guest: {self._reason}")

    def close(self) -> None:
        """Do nothing."""


class Guest:
    """A running guest.

    Args:
        tests: files that it shall collect.
        report: is told what takes long.
    """

    def __init__(self, tests: Collection[Path], report: Report) -> None:
        self._folder = Path(mkdtemp(prefix="constellation-guest-"))
        self._console = self._folder / "console.log"
        system = build_system(report)
        checkout = self._folder / "checkout.cpio"
        pack_checkout(system, tests, checkout)
        archive.join((system.archive, build_wheels(system, report), checkout), self._folder / "initrd")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.settimeout(BOOT_TIMEOUT)
            listener.bind(str(self._folder / "port"))
            listener.listen()
            self._process = self._start(system.kernel)
            self._port, _ = listener.accept()
        self._received = b""
        self.tests: frozenset[str] | None = None

    def wait_until_ready(self) -> None:
        """Wait until it has collected its tests.

        Raises:
            GuestError: it died, or takes too long.
        """
        if self.tests is None:
            self.tests = frozenset(self._receive(BOOT_TIMEOUT))

    def run(self, test: str, limit: float) -> Any:  # noqa: ANN401 - whatever JSON gives
        """Run a test.

        Args:
            test: its node id.
            limit: seconds that it may take.

        Raises:
            GuestError: the guest died.
        """
        self.wait_until_ready()
        if test not in (self.tests or ()):
            raise GuestError(f"the guest did not collect {test}; {self._last_words()}")
        self._port.sendall(json.dumps({"test": test, "limit": limit}).encode() + b"\n")
        return self._receive(limit + 30)

    def close(self) -> None:
        """End it, and remove what it used."""
        self._process.kill()
        self._process.wait()
        self._port.close()
        shutil.rmtree(self._folder)

    def _start(self, kernel: Path) -> subprocess.Popen[bytes]:
        disk = self._folder / "disk.raw"
        with disk.open("wb") as file:
            file.truncate(DISK_SIZE)
        machine = ("-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max,la57=off,-cx16")
        size = ("-m", str(MEMORY), "-smp", "2", "-nodefaults", "-display", "none", "-no-reboot")
        boot = ("-kernel", str(kernel), "-initrd", str(self._folder / "initrd"), "-append", _COMMAND_LINE)
        serial = ("-serial", f"file:{self._console}")
        chardev = ("-chardev", f"socket,id=port,path={self._folder / 'port'}")
        port = ("-device", "virtio-serial-pci", "-device", "virtserialport,chardev=port,name=constellation")
        drive = ("-drive", f"if=none,id=disk,format=raw,cache=unsafe,discard=unmap,file={disk}")
        scratch = ("-device", "virtio-blk-pci,drive=disk,serial=scratch")
        command = (QEMU, *machine, *size, *boot, *serial, *chardev, *port, *drive, *scratch)
        # It ends when this process ends, however it ends: prctl(2), PR_SET_PDEATHSIG.
        with (self._folder / "qemu.log").open("wb") as log:
            return subprocess.Popen(("setpriv", "--pdeathsig", "KILL", "--", *command), stdout=log, stderr=log)

    def _receive(self, limit: float) -> Any:  # noqa: ANN401 - whatever JSON gives
        end = time.monotonic() + limit
        while b"\n" not in self._received:
            if not select.select([self._port], [], [], max(end - time.monotonic(), 0))[0]:
                raise GuestError(f"the guest said nothing for {limit:.0f} s; {self._last_words()}")
            chunk = self._port.recv(_CHUNK)
            if not chunk:
                raise GuestError(f"the guest died; {self._last_words()}")
            self._received += chunk
        line, _, self._received = self._received.partition(b"\n")
        return json.loads(line)

    def _last_words(self) -> str:
        logs = (self._console, self._folder / "qemu.log")
        words = "".join(log.read_text(encoding="utf-8", errors="replace") for log in logs if log.exists())
        return f"its console ends with:\n{words[-_LOG_TAIL:]}"
