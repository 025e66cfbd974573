# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Fakes of what the state machine steers. What is on the disk stays when the power goes, everything else does not.

Each call passes two moments, "disk.adopt" and "disk.adopt done": see `node_agent.testing.moments`.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from constellation_core.keys.secret import Secret
from constellation_core.roles import Role
from node_agent.errors import PermanentError
from node_agent.network import keys
from node_agent.parts import DiskKind, DiskState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from ipaddress import IPv4Address, IPv4Network
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    from node_agent.parts import ClusterPlan, JoinPlan, Peer, Report
    from node_agent.testing.moments import Moments

KUBECONFIG: Final = b"apiVersion: v1\nkind: Config\n"
_FINISHED: Final = "finished"


class FakeDisk:
    """A disk whose content is a folder.

    Args:
        device: folder that stays when the power goes.
        mount_point: where it appears.
        moments: of the test.
    """

    def __init__(self, device: Path, mount_point: Path, moments: Moments) -> None:
        self._header = device / "header.json"
        self._files = device / "files"
        self._mount_point = mount_point
        self._moments = moments
        self._is_open = False
        device.mkdir(exist_ok=True)

    @property
    def header(self) -> dict[str, Any]:
        """What stands in the clear."""
        found: dict[str, Any] = json.loads(self._header.read_text()) if self._header.exists() else {}
        return found

    def claim(self, kind: DiskKind) -> None:
        """Make it look like something."""
        self._write({**self.header, "kind": kind.value, "uuid": self.header.get("uuid", str(uuid.uuid4()))})

    async def examine(self) -> DiskState:
        """Look at the header."""
        await self._moments.come("disk.examine")
        kind = DiskKind(self.header.get("kind", "new"))
        known = uuid.UUID(self.header["uuid"]) if "uuid" in self.header else None
        return DiskState(
            kind, known, self.header.get("cluster", ""), "it has a file system" if kind is DiskKind.FOREIGN else ""
        )

    async def prepare(self) -> uuid.UUID:
        """Format it; an unfinished one keeps its UUID."""
        await self._moments.come("disk.prepare")
        if self.header.get("kind") == DiskKind.INITIALIZED.value:
            raise AssertionError("a disk that was adopted is never formatted")
        shutil.rmtree(self._files, ignore_errors=True)
        self._files.mkdir()
        self._write({"kind": DiskKind.UNFINISHED.value, "uuid": self.header.get("uuid", str(uuid.uuid4()))})
        self._is_open = True
        await self._moments.come("disk.prepare done")
        return uuid.UUID(self.header["uuid"])

    async def adopt(self, key: Secret, cluster: str) -> None:
        """Take the real key."""
        await self._moments.come("disk.adopt")
        adopted = {"kind": DiskKind.INITIALIZED.value, "key": key.reveal().hex(), "cluster": cluster}
        self._write({**self.header, **adopted})
        await self._moments.come("disk.adopt done")

    async def open(self, key: Secret) -> None:
        """Open it with the right key."""
        await self._moments.come("disk.open")
        if Secret(bytes.fromhex(self.header["key"])) != key:
            raise PermanentError("the key does not open the state disk")
        self._is_open = True
        await self._moments.come("disk.open done")

    async def mount(self) -> None:
        """Let the files appear."""
        await self._moments.come("disk.mount")
        if not self._is_open:
            raise AssertionError("only an open disk is mounted")
        if not self._mount_point.exists():
            self._mount_point.symlink_to(self._files)
        await self._moments.come("disk.mount done")

    async def grow(self) -> None:
        """Do nothing."""
        await self._moments.come("disk.grow")

    async def close(self) -> None:
        """Let the files disappear."""
        await self._moments.come("disk.close")
        self._mount_point.unlink(missing_ok=True)
        self._is_open = False

    def _write(self, header: dict[str, Any]) -> None:
        self._header.write_text(json.dumps(header))


@dataclass(slots=True)
class FakeMesh:
    """A mesh that remembers what it was told.

    Attributes:
        moments: of the test.
        address: of this node; None while it is down.
        secret: from which keys of pairs derive.
        public_key: of this node, as it started last.
        peers: with whom it speaks.
        protected: addresses of pods that are kept in; "" where only the node is protected.
        serves_api: whether its own API server goes first; None where the address of the API leads nowhere.
        watching: whether it sees which control planes serve.
        learnt: tells the agent of peers, once it follows the cluster.
    """

    moments: Moments
    address: IPv4Address | None = None
    secret: Secret | None = None
    public_key: bytes = b""
    peers: tuple[Peer, ...] = ()
    protected: str | None = None
    serves_api: bool | None = None
    watching: bool = False
    learnt: Callable[[Sequence[Peer]], None] | None = None

    def load_or_make_key(self, folder: Path) -> X25519PrivateKey:
        """Keep a key in a file, as the real one."""
        return keys.load_or_make_key(folder)

    async def protect(self, pod_cidr: IPv4Network | None, *, service_cidr: IPv4Network | None = None) -> None:
        """Remember it."""
        del service_cidr
        await self.moments.come("mesh.protect")
        self.protected = str(pod_cidr or "")

    async def start(self, *, key: X25519PrivateKey, address: IPv4Address, secret: Secret) -> None:
        """Come up, behind rules."""
        await self.moments.come("mesh.start")
        if self.protected is None:
            raise AssertionError("no mesh without rules")
        self.address, self.secret, self.public_key = address, secret, key.public_key().public_bytes_raw()
        await self.moments.come("mesh.start done")

    async def set_peers(self, peers: Sequence[Peer]) -> None:
        """Remember them."""
        await self.moments.come("mesh.set_peers")
        self.peers = tuple(peers)

    async def lead_to_api(self, *, served_here: bool) -> None:
        """Remember it."""
        await self.moments.come("mesh.lead_to_api")
        if self.address is None:
            raise AssertionError("no way without a mesh")
        self.serves_api = served_here

    async def watch_api(self) -> None:
        """Watch until cancelled."""
        self.watching = True
        try:
            await asyncio.Event().wait()
        finally:
            self.watching = False

    async def follow(self, kubeconfig: Path, learnt: Callable[[Sequence[Peer]], None]) -> None:
        """Follow until cancelled."""
        del kubeconfig
        await self.moments.come("mesh.follow")
        self.learnt = learnt
        await asyncio.Event().wait()

    async def close(self) -> None:
        """Go down."""
        await self.moments.come("mesh.close")
        self.address, self.secret, self.peers = None, None, ()


@dataclass(slots=True)
class FakeKubernetes:
    """Kubernetes that is set up by files on the disk.

    A control plane that joins becomes a member of etcd. Its disk remembers which one; without that, it becomes another.

    Attributes:
        moments: of the test.
        state: where the disk is mounted.
        etcd: members that joined, as the cluster remembers them.
        plan: what it was set up with, last.
        running: whether a kubelet runs.
        keeps_members: address of the control plane that keeps the members of etcd; None before it does.
        looks: how often that was told of news.
    """

    moments: Moments
    state: Path
    etcd: list[str] = field(default_factory=list)
    plan: ClusterPlan | JoinPlan | None = field(default=None, repr=False)
    running: bool = False
    keeps_members: IPv4Address | None = None
    looks: int = 0

    async def init(self, plan: ClusterPlan, report: Report) -> bytes:
        """Set up a cluster."""
        await self.moments.come("kubernetes.init")
        report("kubeadm: preflight")
        self.plan = plan
        self._file.write_text(_FINISHED)
        self.running = True
        await self.moments.come("kubernetes.init done")
        return KUBECONFIG

    async def join(
        self, plan: JoinPlan, report: Report, *, resumable: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Join one."""
        await self.moments.come("kubernetes.join")
        self.plan = plan
        self._file.write_text(plan.role)
        if resumable is not None:
            await resumable()
        await self._finish(report)
        await self.moments.come("kubernetes.join done")

    async def start_kubelet(self, report: Report) -> None:
        """Start what is there."""
        await self.moments.come("kubernetes.start_kubelet")
        if not self._file.exists():
            raise PermanentError("Kubernetes was never set up on this disk")
        if self._file.read_text() == _FINISHED:
            report("kubelet")
            self.running = True
        else:
            await self._finish(report)
        await self.moments.come("kubernetes.start_kubelet done")

    async def keep_members(self, own: IPv4Address, news: asyncio.Event) -> None:
        """Remember who keeps them, and what is new."""
        while True:
            self.keeps_members = own
            await news.wait()
            news.clear()
            self.looks += 1

    @property
    def _file(self) -> Path:
        return self.state / "kubernetes"

    @property
    def _member(self) -> Path:
        return self.state / "etcd-member"

    async def _finish(self, report: Report) -> None:
        report("kubeadm: preflight")
        if self._file.read_text() == Role.CONTROL_PLANE:
            if not self._member.exists():
                self._member.write_text(str(uuid.uuid4()))
                self.etcd.append(self._member.read_text())
            await self.moments.come("kubernetes.member")
        self._file.write_text(_FINISHED)
        self.running = True


@dataclass(slots=True)
class FakePower:
    """The power of a machine.

    Attributes:
        moments: of the test.
        rebooted: set when the machine boots again.
    """

    moments: Moments
    rebooted: asyncio.Event = field(default_factory=asyncio.Event)

    async def reboot(self) -> None:
        """Boot again."""
        await self.moments.come("power.reboot")
        self.rebooted.set()
