# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A cluster whose services are the processes that run in production; nothing is faked but the machines' hardware.

    world = ThreeServices(control_plane, folder)
    with world.running_keys(), world.running_join(tpm) as join:
        ticket = await node.ticket([join], disk=disk)

Each service has the rights of its service account and no others. Tokens for the key service are bound to pods.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
import uuid
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.coordination_v1 import Lease
from lightkube.resources.core_v1 import ConfigMap, Event
from lightkube.resources.core_v1 import Node as KubernetesNode

from attestation.case import Mark
from attestation.issuer import open_issuer
from attestation.tpm.client import Tpm
from attestation.variant import Variant
from constellation_core import cluster_facts, join_config
from constellation_core.channel.verifier import PolicyVerifier
from constellation_core.cluster_facts import ClusterFacts
from constellation_core.component_list import Component, ComponentList
from constellation_core.conditions import Condition, wait_for
from constellation_core.join_config import ControlPlanes, JoinConfig
from constellation_core.keys.client import KeyServiceClient
from constellation_core.keys.derivation import cluster_id
from constellation_core.keys.master_secret import MasterSecret
from constellation_core.keys.secret import Secret
from constellation_core.names import KEY_SERVICE_AUDIENCE, NAMESPACE
from constellation_engine.cluster.cluster_verdict import Endpoint
from constellation_engine.cluster.nodes import forget, node_records
from constellation_engine.testing.programs import free_port
from constellation_services.testing.verified_node import MARK_REGISTER, POLICY
from node_agent.joining import JoinRequest, Service, ask_for_ticket

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from attestation.policy import Policy
    from attestation.testing.swtpm import Swtpm
    from constellation_core.roles import Role
    from constellation_engine.testing.control_plane import ControlPlane
    from constellation_proto import join_pb2

START_TIMEOUT: Final = 60.0  # seconds; three are usual
STOP_TIMEOUT: Final = 30.0
PROGRAMS: Final = ComponentList((Component(name="kubelet", version="v1.36.4", sha256="ab" * 32),))
MEASUREMENT_SALT: Final = b"m" * 32
VERIFIER: Final = PolicyVerifier(policies=[POLICY], mark=Mark.ANY)


@dataclass(frozen=True, slots=True)
class ServiceProcess:
    """One service.

    Attributes:
        name: of it.
        child: the process.
        port: where it serves.
        status_port: where it says how it is.
        log: what it wrote.
    """

    name: str
    child: subprocess.Popen[bytes]
    port: int
    status_port: int
    log: Path

    @property
    def address(self) -> Service:
        """Where a node asks."""
        return Service("127.0.0.1", self.port)

    def status(self, path: str) -> str:
        """Ask how it is.

        Raises:
            OSError: it is not well, or not there.
        """
        with urllib.request.urlopen(f"http://127.0.0.1:{self.status_port}{path}", timeout=5) as answer:
            text: str = answer.read().decode()
        return text

    def metric(self, name: str) -> float:
        """Read one figure; 0 where it was never counted."""
        lines = [line.rpartition(" ") for line in self.status("/metrics").splitlines()]
        return next((float(value) for said, _, value in lines if said == name), 0.0)

    def missing(self) -> str | None:
        """Say why it is not ready."""
        if self.child.poll() is not None:
            raise AssertionError(f"{self.name} ended: {self.log.read_text()[-2000:]}")
        self.status("/readyz")
        return None

    def stop(self) -> int:
        """Ask it to end, as a kubelet does, and wait; gives its exit status."""
        self.child.terminate()
        return self.child.wait(STOP_TIMEOUT)


@dataclass(frozen=True, slots=True)
class Node:
    """A machine with a TPM in which our image was measured.

    Attributes:
        name: of the node that it wants to be.
        tpm: its TPM. Nobody keeps it open: it talks to one program at a time.
    """

    name: str
    tpm: Swtpm

    async def ticket(
        self,
        services: Sequence[ServiceProcess],
        role: Role,
        *,
        disk: str = "",
        name: str = "",
        timeout: float = 20.0,  # noqa: ASYNC109
    ) -> join_pb2.Ticket:
        """Ask for a ticket."""
        request = JoinRequest.new(
            name or self.name,
            role.to_message(),
            disk=disk or str(uuid.uuid4()),
            wireguard_public_key=os.urandom(32),
            addresses=["127.0.0.1"],
        )
        addresses = [service.address for service in services]
        with open_issuer(Variant.QEMU_VTPM, tpm=self.tpm.address) as issuer:
            return await ask_for_ticket(addresses, request, verifier=VERIFIER, issuer=issuer, timeout=timeout)

    def mark(self, ticket: join_pb2.Ticket) -> Path:
        """Bind the machine to its cluster until it boots again; gives the file that says so."""
        identity = cluster_id(Secret(ticket.measurement_secret), ticket.measurement_salt)
        with Tpm.open(self.tpm.address) as tpm:
            tpm.pcr_event(MARK_REGISTER, identity)
        file = self.tpm.directory / "cluster-id"
        file.write_text(identity.hex(), encoding="ascii")
        return file


class ThreeServices:
    """A cluster, and what its services are started with."""

    def __init__(self, control_plane: ControlPlane, folder: Path) -> None:
        self.control_plane = control_plane
        self.client = control_plane.client()
        self.master = MasterSecret.random()
        self._folder = folder
        self._processes = ExitStack()
        (folder / "kubernetes").mkdir()
        (folder / "kubernetes" / "pki").symlink_to(control_plane.pki)
        self._write_key_material()
        self._write_facts()
        self.set_join_config()

    @property
    def cluster_id(self) -> bytes:
        """What marks every node."""
        return self.master.cluster_id(MEASUREMENT_SALT)

    def set_join_config(self, *, max: int = 3, policy: Policy = POLICY) -> None:  # noqa: A002
        """Say which machines may join."""
        rule = ControlPlanes(max=max)
        self.write_join_config(JoinConfig(explicit=(policy,), control_planes=rule).to_yaml())

    def write_join_config(self, text: str) -> None:
        """Write any file."""
        self._apply(join_config.OBJECT_NAME, {join_config.DATA_KEY: text})

    def forget_all(self) -> None:
        """Let no node be left."""
        for record in node_records(self.client):
            forget(self.client, record.identity.name)
        self.client.deletecollection(KubernetesNode)
        self.client.deletecollection(Lease, namespace=NAMESPACE)
        self.client.deletecollection(Event, namespace=NAMESPACE)

    def events(self, reason: str) -> list[str]:
        """Messages of all events of one reason."""
        return [one.message or "" for one in self.client.list(Event, namespace=NAMESPACE) if one.reason == reason]

    def token(self, account: str) -> Path:
        """A token for the key service, as a kubelet projects it into a pod of this account."""
        token = self.control_plane.token(
            account, KEY_SERVICE_AUDIENCE, pod=f"{account}-end-to-end", node="control-plane-0"
        )
        file = self._folder / f"{account}.token"
        file.touch(mode=0o600)
        file.write_text(token, encoding="ascii")
        return file

    def key_client(self, keys: ServiceProcess, account: str) -> KeyServiceClient:
        """Somebody who asks for keys."""
        return KeyServiceClient("127.0.0.1", keys.port, self.control_plane.ca_file, self.token(account), timeout=5)

    @contextmanager
    def running_keys(self) -> Iterator[ServiceProcess]:
        """Run the key service."""
        options: dict[str, Any] = {"key-material": self._folder / "key-material", "pki": self.control_plane.pki}
        with self._running("keys", "key-service", **options) as process:
            yield process

    @contextmanager
    def running_join(self, tpm: Swtpm, keys: ServiceProcess, name: str = "join") -> Iterator[ServiceProcess]:
        """Run the join service on a control plane."""
        options = {
            "variant": Variant.QEMU_VTPM,
            "tpm": tpm.address,
            "kubernetes": self._folder / "kubernetes",
            "key-service": "127.0.0.1",
            "key-service-port": keys.port,
            "key-service-token": self.token("join-service"),
        }
        with self._running("join", "join-service", name, **options) as process:
            yield process

    @contextmanager
    def running_verify(self, node: Node, file: Path) -> Iterator[Endpoint]:
        """Run the verification service of a node that is one of the cluster."""
        options = {
            "variant": Variant.QEMU_VTPM,
            "tpm": node.tpm.address,
            "node-name": node.name,
            "cluster-id": file,
            "http-port": free_port(),
        }
        with self._running("verify", "verification-service", f"verify-{node.name}", **options) as process:
            yield Endpoint("127.0.0.1", process.port, node.name)

    @contextmanager
    def _running(self, service: str, account: str, name: str = "", **options: Any) -> Iterator[ServiceProcess]:  # noqa: ANN401
        port, status_port, log = free_port(), free_port(), self._folder / f"{name or service}.log"
        options = {"host": "127.0.0.1", "port": port, "status-port": status_port, "grace": 5, **options}
        words = [word for option, value in options.items() for word in (f"--{option}", str(value))]
        kubeconfig = self.control_plane.token_kubeconfig(self.control_plane.token(account))
        environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
        command = [sys.executable, "-m", "constellation_services.main", service, *words]
        with log.open("wb") as output:
            child = subprocess.Popen(command, env=environment, stdout=output, stderr=output, cwd=self._folder)
        process = ServiceProcess(name or service, child, port, status_port, log)
        try:
            wait_for([Condition(f"{process.name} is ready", process.missing, (OSError,))], timeout=START_TIMEOUT)
            yield process
        finally:
            child.terminate()
            child.wait(STOP_TIMEOUT)

    def _apply(self, name: str, data: dict[str, str]) -> None:
        metadata = ObjectMeta(name=name, namespace=NAMESPACE)
        self.client.apply(ConfigMap(metadata=metadata, data=data), field_manager="test", force=True)

    def _write_facts(self) -> None:
        facts = ClusterFacts(
            name="test",
            endpoint=self.control_plane.url.removeprefix("https://"),
            measurement_salt=MEASUREMENT_SALT,
            kubernetes_version="v1.36.4",
            components=PROGRAMS.object_name,
        )
        self._apply(PROGRAMS.object_name, PROGRAMS.data)
        self._apply(cluster_facts.OBJECT_NAME, {cluster_facts.DATA_KEY: facts.to_yaml()})

    def _write_key_material(self) -> None:
        """As the Secret `key-material` is mounted into pods of the key service."""
        folder = self._folder / "key-material"
        folder.mkdir(mode=0o700)
        files = {"uri": b"cluster://", "secret": self.master.secret.reveal(), "salt": self.master.salt}
        for name, content in files.items():
            (folder / name).touch(mode=0o600)
            (folder / name).write_bytes(content)


def log_lines(process: ServiceProcess) -> list[dict[str, Any]]:
    """Everything that a service wrote: JSON, one record a line."""
    return [json.loads(line) for line in process.log.read_text(encoding="utf-8").splitlines()]
