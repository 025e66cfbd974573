# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Machines for kubeadm without machines: a root file system, a network and processes of their own, by namespaces.

    with Machine("worker-0", "10.99.0.2", folder) as machine:
        machine.run("kubeadm", "version")

What runs in them is real: kubeadm, etcd, API server, controllers. Three programs are not: systemctl and kubelet, which
need an init system and cgroup v2, and containerd. `stand_in_kubelet` runs static pods as processes and registers the
node. Root is needed, for namespaces and an overlay over the root of this machine.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import pytest

from constellation_core.conditions import Condition, wait_for
from constellation_engine.components import Store

HERE: Final = Path(__file__).parent
REPOSITORY: Final = HERE.parents[2]
PROGRAMS: Final = (
    "kubeadm",
    "kubectl",
    "etcd",
    "etcdctl",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
)
MEASURED: Final = REPOSITORY / "images/node/mkosi.extra/usr/lib/constellation/kubernetes"
BRIDGE: Final = "cst-test"

_SYSTEMCTL: Final = f"""#!/bin/sh
# Knows one unit: the kubelet.
case "$*" in
    "start kubelet"|"restart kubelet"|"start kubelet.service")
        kill "$(cat /run/kubelet.pid 2>/dev/null)" 2>/dev/null
        rm -f /run/kubelet.pid
        setsid /usr/bin/env -C / {{python}} {HERE}/stand_in_kubelet.py >>/var/log/kubelet.log 2>&1 &
        for _ in $(seq 200); do [ -s /run/kubelet.pid ] && break; sleep 0.05; done ;;
    "stop kubelet") kill "$(cat /run/kubelet.pid 2>/dev/null)" 2>/dev/null ;;
    "start containerd.service") echo containerd >> /run/started ;;
esac
exit 0
"""


@dataclass(slots=True)
class Segment:
    """What machines are connected by: a bridge in a network namespace of its own."""

    process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Make it."""
        script = f"ip link add {BRIDGE} type bridge && ip link set {BRIDGE} up && exec sleep inf"
        command = [*_die_with_us(), "unshare", "--net", "sh", "-c", script]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        wait_for([Condition("the segment is up", self._missing, (OSError,))], timeout=20)
        return self

    def __exit__(self, *_: object) -> None:
        """Remove it."""
        if self.process:
            self.process.kill()
            self.process.wait()

    def _missing(self) -> str | None:
        return None if BRIDGE in self.inside("ip", "link", "show") else "no bridge"

    def inside(self, *command: str) -> str:
        assert self.process
        whole = ["nsenter", f"--target={self.process.pid}", "--net", *command]
        return subprocess.run(whole, check=True, capture_output=True, text=True).stdout


@dataclass(slots=True)
class Machine:
    """One machine.

    Attributes:
        name: host name.
        number: of its addresses: 10.99.0.<number>/24 for peers, 10.213.<number>.0/16 in the mesh.
        folder: its disk; another machine on the same folder is this one after a boot.
        segment: what it is connected to.
    """

    name: str
    number: int
    folder: Path
    segment: Segment
    version: str = ""
    _holder: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _init: int = 0

    @property
    def mesh_address(self) -> str:
        return f"10.213.{self.number}.0"

    @property
    def address(self) -> str:
        return f"10.99.0.{self.number}"

    @property
    def disk(self) -> Path:
        """What it wrote."""
        return self.folder / "upper"

    def __enter__(self) -> Self:
        """Switch it on."""
        for name in ("upper", "work", "root"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self._furnish()
        root = self.folder / "root"
        script = " && ".join(
            (
                f"hostname {self.name}",
                f"mount -t overlay overlay -o lowerdir=/,upperdir={self.disk},workdir={self.folder / 'work'} {root}",
                f"mount -t proc proc {root}/proc",
                f"mount --rbind /dev {root}/dev",
                f"mount --rbind /sys {root}/sys",
                f"mount -t tmpfs tmpfs {root}/run",
                f"mkdir {root}/run/constellation",
                "ip link set lo up",
                f"exec chroot {root} sleep inf",
            )
        )
        namespaces = ["--net", "--mount", "--uts", "--pid", "--fork", "--kill-child"]
        command = [*_die_with_us(), "unshare", *namespaces, "sh", "-c", script]
        self._holder = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        wait_for([Condition(f"{self.name} is up", self._missing, (OSError,))], timeout=20)
        self._connect()
        return self

    def __exit__(self, *_: object) -> None:
        """Cut its power."""
        if self._holder:
            if self._init:
                os.kill(self._init, signal.SIGKILL)  # the first process of a PID namespace takes all others along
            self._holder.kill()
            self._holder.wait()
            self._holder = None

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a program in it."""
        whole = ["nsenter", f"--target={self._init}", "--net", "--mount", "--uts", "--pid", "--root", "--wd", *command]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'proto'}"}
        pipe = subprocess.PIPE
        return subprocess.Popen(
            whole, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True, errors="replace", env=environment
        )

    def run(self, *command: str) -> str:
        """Run a program in it, to its end; give what it says."""
        process = self.start(*command)
        said, complained = process.communicate(timeout=600)
        assert process.returncode == 0, f"{command}: {said[-3000:]}{complained[-3000:]}"
        return said

    def complaint(self, *command: str) -> str:
        """Run a program in it that fails; give what it says about that."""
        process = self.start(*command)
        _, complained = process.communicate(timeout=600)
        assert process.returncode != 0
        return complained

    def agent(self, *arguments: str) -> list[str]:
        """Run a part of the agent in it; `inside` says which there are."""
        return [_python(), str(HERE / "inside.py"), *arguments]

    @property
    def ticket(self) -> Path:
        """Where its ticket is."""
        return self.folder / "ticket.json"

    def anonymous_status(self, path: str) -> int:
        """Ask its API server without any credentials; give the status of the answer."""
        script = (
            "import http.client, ssl; tls = ssl._create_unverified_context(); "
            f"server = http.client.HTTPSConnection('{self.mesh_address}', 6443, context=tls); "
            f"server.request('GET', '{path}'); print(server.getresponse().status)"
        )
        return int(self.run(_python(), "-c", script))

    def cut_power_at(self, line: str, *command: str) -> None:
        """Run a program in it, and switch the machine off when it says something."""
        process = self.start(*command)
        assert process.stderr
        seen = next((said for said in process.stderr if line in said), None)
        self.__exit__()
        process.communicate()
        assert seen, f"{command} never said {line}"

    def kubectl(self, *arguments: str, kubeconfig: str = "/etc/kubernetes/admin.conf") -> str:
        """Run kubectl in it."""
        return self.run("kubectl", f"--kubeconfig={kubeconfig}", *arguments)

    def _missing(self) -> str | None:
        assert self._holder
        assert self._holder.poll() is None, f"{self.name} did not start"
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children").read_text().split()
        if not children or Path(f"/proc/{children[0]}/comm").read_text().strip() != "sleep":
            return "its root is not mounted"  # what ran in it now would run on this machine
        self._init = int(children[0])
        return None

    def _furnish(self) -> None:
        """Put into its root what the image has."""
        fetched = Store().fetch(PROGRAMS, kubernetes=self.version)
        programs = self.disk / "usr" / "bin"
        for folder in (programs, self.disk / "usr/lib/constellation/image", *map(self._below, _FOLDERS)):
            folder.mkdir(parents=True, exist_ok=True)
        for name in PROGRAMS:
            program = programs / name
            program.unlink(missing_ok=True)
            program.symlink_to(fetched[name])
        systemctl = programs / "systemctl"
        systemctl.write_text(_SYSTEMCTL.format(python=_python()), encoding="utf-8")
        systemctl.chmod(0o755)
        shutil.copytree(MEASURED, self.disk / "usr/lib/constellation/kubernetes", dirs_exist_ok=True)
        (self.disk / "usr/lib/constellation/image/components.json").write_text(
            '[{"name":"kubelet","sha256":"' + 64 * "a" + '","version":"' + (self.version or "1.36.4") + '"}]'
        )

    def _below(self, path: str) -> Path:
        return self.disk / path

    def _connect(self) -> None:
        outer, inner = f"m{self._init}", "eth0"
        assert self.segment.process
        self.segment.inside("ip", "link", "add", outer, "type", "veth", "peer", "name", inner, "netns", str(self._init))
        self.segment.inside("ip", "link", "set", outer, "master", BRIDGE, "up")
        for command in (
            f"ip address add {self.address}/24 dev eth0",
            f"ip address add {self.mesh_address}/16 dev eth0",
            "ip link set eth0 up",
        ):
            self.run(*command.split())


def skip_without_namespaces() -> None:
    """Skip a test where machines cannot be."""
    if os.geteuid() != 0:
        pytest.skip("namespaces and an overlay over the root need root")
    missing = [program for program in ("unshare", "nsenter", "setpriv", "ip") if shutil.which(program) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)} (Debian: util-linux, iproute2)")


_FOLDERS: Final = ("etc/kubernetes", "var/lib/kubelet", "var/lib/etcd", "var/log/kubernetes")


def _python() -> str:
    return str(REPOSITORY / ".venv" / "bin" / "python")


def _die_with_us() -> list[str]:
    return ["setpriv", "--pdeathsig", "KILL", "--"]
