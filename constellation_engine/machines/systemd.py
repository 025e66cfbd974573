# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Units of a host's systemd for machines: they start with the host, and again when QEMU crashes.

After systemd.service(5), systemd.exec(5) and systemctl(1). The unit runs `python -m constellation_engine.machines`, and
leaves to QEMU what it needs: its folder, the image, KVM, the secure processor, sockets. No capability is left.
"""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from constellation_engine.errors import MachineSpecError, ServiceManagerError
from constellation_engine.whole_files import whole_file

UNITS: Final = Path("/etc/systemd/system")
RUNNING: Final = Path("/run/systemd/system")
"""There exactly where systemd is the host's service manager (sd_booted(3))."""

_PREFIX: Final = "constellation-guest-"
_TIMEOUT: Final = 150.0  # seconds; more than the unit has to start
_TAIL: Final = 800  # characters of what it says
_PLAIN: Final = re.compile(r"/[\w./-]*")  # nothing that means something in a unit
_TEXT: Final = """\
# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
# Made by Constellation: changes are overwritten.

[Unit]
Description=Constellation guest {name}
RequiresMountsFor={folder}

[Service]
Type=forking
PIDFile={folder}/qemu.pid
ExecStart={python} -m constellation_engine.machines start {folder}
ExecStop={python} -m constellation_engine.machines stop {folder}
Restart=on-failure
RestartSec=5
TimeoutStartSec=120
TimeoutStopSec=60
KillMode=mixed
UMask=0077
CacheDirectory=constellation
RuntimeDirectory=%N
Environment=XDG_CACHE_HOME=/var/cache TMPDIR=%t/%N PYTHONDONTWRITEBYTECODE=1

# Whoever breaks out of the guest into QEMU finds this and no more.
CapabilityBoundingSet=
DeviceAllow=/dev/kvm rw
DeviceAllow=/dev/sev rw
DevicePolicy=closed
LockPersonality=yes
NoNewPrivileges=yes
ProtectControlGroups=yes
ProtectHome=read-only
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectSystem=strict
ReadWritePaths={parent}
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictRealtime=yes
RestrictSUIDSGID=yes

[Install]
WantedBy=multi-user.target
"""


def unit_name(machine: str) -> str:
    """Give the name of a machine's unit."""
    return f"{_PREFIX}{machine}.service"


def unit_text(folder: Path, python: Path | None = None) -> str:
    """Give the unit of a machine.

    Args:
        folder: of the machine, absolute.
        python: interpreter that has this library; None for the one that runs.

    Raises:
        MachineSpecError: a path has characters that mean something in a unit.
    """
    python = python or Path(sys.executable)
    for path in (folder, python):
        if not _PLAIN.fullmatch(str(path)):
            raise MachineSpecError(f"{path}: a unit can have only letters, digits and ./-_ in a path")
    return _TEXT.format(name=folder.name, folder=folder, parent=folder.parent, python=python)


class Systemd:
    """The service manager of this host.

    Args:
        units: folder of its units.

    Raises:
        ServiceManagerError: systemd is not the service manager of this host.
    """

    def __init__(self, units: Path = UNITS) -> None:
        if not RUNNING.is_dir():
            hint = "use a host that was booted with systemd, or ask for a guest without a service manager"
            raise ServiceManagerError("expected systemd as the service manager of this host, it is not", hint=hint)
        self._units = units

    def read(self, name: str) -> str:
        """Give a unit's text; "" where there is none."""
        with suppress(FileNotFoundError):
            return (self._units / name).read_text(encoding="utf-8")
        return ""

    def write(self, name: str, text: str) -> None:
        """Write a unit, and tell systemd.

        Raises:
            ServiceManagerError: systemd does not take it.
        """
        with whole_file(self._units / name, mode=0o644) as file:
            file.write_text(text, encoding="utf-8")
        self._control("daemon-reload")

    def remove(self, name: str) -> None:
        """Stop a unit and remove it; if there is none, nothing happens.

        Raises:
            ServiceManagerError: it does not stop.
        """
        if not self.read(name):
            return
        self._control("disable", "--now", name)
        (self._units / name).unlink(missing_ok=True)
        self._control("daemon-reload")

    def is_enabled(self, name: str) -> bool:
        """Whether it starts with the host."""
        return self._says("is-enabled", name) == "enabled"

    def is_active(self, name: str) -> bool:
        """Whether it runs, or is on its way."""
        return self._says("is-active", name) in {"active", "activating", "reloading"}

    def start(self, name: str) -> None:
        """Start it now, anew if it runs, and with the host from now on.

        Raises:
            ServiceManagerError: it does not start.
        """
        self._control("enable", name)
        self._control("restart", name)

    def stop(self, name: str) -> None:
        """Stop it, now and for the host's next boots.

        Raises:
            ServiceManagerError: it does not stop.
        """
        self._control("disable", "--now", name)

    def _control(self, *arguments: str) -> None:
        done = _run("systemctl", "--no-ask-password", *arguments)
        if done.returncode:
            name = arguments[-1]
            journal = _run("journalctl", "--unit", name, "--lines=6", "--output=cat", "--no-pager").stdout
            said = " ".join((journal or done.stderr or done.stdout).split())[-_TAIL:]
            hint = f"journalctl --unit {name} says all of it"
            raise ServiceManagerError(f"systemctl {' '.join(arguments)} failed: {said}", hint=hint)

    def _says(self, *arguments: str) -> str:
        return _run("systemctl", "--no-ask-password", *arguments).stdout.strip()


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603 - every argument is ours
            command, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServiceManagerError(f"{' '.join(command)}: {error}", hint="is the host's systemd in order?") from None
