# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Real hosts for tests of roles: machines of systemd-nspawn with a booted systemd, which forget everything they did.

Their root is made once by debootstrap, from the mirror that this machine's own apt uses, and kept in the user's cache
under the hash of what is in it. Each host writes to an overlay in memory. Ansible reaches a host by nsenter: its
connection is `local`, its shell another one, and the folder for what Ansible copies is the same path inside and out.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from constellation_engine.debian.mirror import machine_mirrors
from constellation_engine.debian.packages import Archive
from constellation_engine.user_folders import cache_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PACKAGES: Final = (
    "cron",
    "dbus",
    "haproxy",
    "iproute2",
    "keepalived",
    "kmod",
    "lynis",
    "nftables",
    "openssh-server",
    "python3",
    "python3-venv",
    "systemd",
    "systemd-sysv",
)
PROGRAMS: Final = ("debootstrap", "systemd-nspawn", "nsenter")
REPOSITORY: Final = Path(__file__).parents[3]
BOOT_TIMEOUT: Final = 60.0  # seconds; four are usual
MAKE_TIMEOUT: Final = 1800.0  # seconds; one minute is usual

_BOOTED: Final = {"running", "degraded"}
_POLL_INTERVAL: Final = 0.05


class NoBedError(Exception):
    """This machine cannot have such hosts; says why."""


@dataclass(frozen=True, slots=True)
class Host:
    """A host that runs.

    Attributes:
        name: in inventories.
        leader: process id of its init, seen from outside.
        share: a folder that has the same path inside and outside.
    """

    name: str
    leader: int
    share: Path

    def run(self, *command: str, timeout: float = 30) -> subprocess.CompletedProcess[str]:
        """Run a command in it."""
        inside = ["nsenter", "-t", str(self.leader), "-m", "-u", "-i", "-n", "-p", *command]
        return subprocess.run(inside, check=False, capture_output=True, text=True, timeout=timeout)

    def read(self, path: str) -> str:
        """Give a file of it; "" where there is none."""
        return self.run("cat", path).stdout

    def inventory(self) -> dict[str, str]:
        """Give variables with which Ansible reaches it."""
        shell = self.share / "shell"
        shell.write_text(f'#!/bin/sh\nexec nsenter -t {self.leader} -m -u -i -n -p /bin/sh "$@"\n')
        shell.chmod(0o755)
        return {
            "ansible_connection": "local",
            "ansible_shell_executable": str(shell),
            "ansible_remote_tmp": str(self.share / "tmp"),
            "ansible_python_interpreter": "/usr/bin/python3",
        }


def write_inventory(hosts: Sequence[Host], path: Path, group: str = "hypervisors") -> Path:
    """Write an inventory with all of them in one group."""
    record = {group: {"hosts": {host.name: host.inventory() for host in hosts}}}
    path.write_text(json.dumps(record))  # every JSON is YAML
    return path


def is_made() -> bool:
    """Whether the root of hosts is in the cache."""
    return _place(_own_release()).exists()


def root() -> Path:
    """Give the root of hosts, made if it is not in the cache.

    Raises:
        NoBedError: this machine cannot make one.
    """
    release = _own_release()
    place = _place(release)
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_name(f"{place.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another run of tests may be making it
        if not place.exists():
            _make(place, release)
    return place


def require() -> None:
    """See that hosts can be had here.

    Raises:
        NoBedError: says what is missing.
    """
    if os.geteuid() != 0:
        raise NoBedError("only root can start machines of systemd-nspawn")
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        raise NoBedError(f"not installed: {', '.join(missing)} (setup/packages.txt)")


@contextmanager
def booted(name: str, folder: Path, *options: str) -> Iterator[Host]:
    """Run a host.

    Args:
        name: of it.
        folder: for what is shared with it.
        options: more for systemd-nspawn; without any of a network, the host has none.

    Raises:
        NoBedError: it does not boot here.
    """
    place, share = root(), folder / name
    (share / "tmp").mkdir(parents=True)
    command = ["systemd-nspawn", "--quiet", "--boot", f"--directory={place}", "--volatile=overlay", f"--machine={name}"]
    network = () if any(option.startswith("--network") for option in options) else ("--private-network",)
    command += [
        *network,
        "--capability=CAP_NET_ADMIN",
        "--register=no",
        "--keep-unit",
        "--console=pipe",
        f"--bind={share}",
        *options,
    ]
    log = share / "boot.log"
    with ExitStack() as stack:
        output = stack.enter_context(log.open("wb"))
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        stack.callback(_end, process)
        yield Host(name, _leader(process, share, log), share)


def programs_of_this_machine() -> list[str]:
    """Give options for a host with the programs and the library of this machine; a bare one would be given them."""
    return [f"--bind-ro={path}" for path in ("/usr", REPOSITORY, sys.base_prefix, sys.prefix)]


def _leader(process: subprocess.Popen[bytes], share: Path, log: Path) -> int:
    """Wait until its systemd has started everything."""
    deadline = time.monotonic() + BOOT_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        if children:
            leader = int(children[0])
            said = Host("", leader, share).run("systemctl", "is-system-running")
            if said.stdout.strip() in _BOOTED:
                return leader
        time.sleep(_POLL_INTERVAL)
    raise NoBedError(f"systemd-nspawn does not boot here: {log.read_text(errors='replace').strip()[-500:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _place(release: str) -> Path:
    key = hashlib.sha256(" ".join((release, *PACKAGES)).encode()).hexdigest()[:12]
    return cache_folder() / "test-hosts" / f"{release}-{key}"


def _make(place: Path, release: str) -> None:
    draft = place.with_name(f".{place.name}.{os.getpid()}")
    mirror = machine_mirrors()[Archive.MAIN]
    command = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", release, str(draft), mirror]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=MAKE_TIMEOUT)
        if done.returncode:
            raise NoBedError(f"debootstrap failed: {(done.stderr or done.stdout).strip()[-500:]}")
        shutil.rmtree(draft / "var/cache/apt/archives")
        draft.rename(place)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _own_release() -> str:
    for line in Path("/etc/os-release").read_text().splitlines():
        name, _, value = line.partition("=")
        if name == "VERSION_CODENAME":
            return value.strip('"')
    raise NoBedError("expected Debian or Ubuntu, whose release debootstrap can make again")
