# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A cluster that machines join: real API server, real TPMs (swtpm), real channel, real service. One line breaks it.

    ticket = await cluster.ticket(cluster.machine("b"), name="worker-0", disk=disk)
    cluster.join_config.set(max=1)
    cluster.keys.unavailable = True
    cluster.wire.break_call(2, Break.ANSWER_LOST)

The service is the one that runs in production, with the rights of its service account and with nothing replaced but
where keys come from: `keys` derives them in this process, unless a test starts the key service.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import threading
import uuid
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from httpx2 import Timeout
from lightkube import ApiError, AsyncClient, Client, KubeConfig
from lightkube.config.client_adapter import verify_cluster
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.authentication_v1 import SelfSubjectReview
from lightkube.resources.coordination_v1 import Lease
from lightkube.resources.core_v1 import ConfigMap, Event, Node, Secret
from lightkube.types import PatchType

from attestation.case import Mark
from attestation.policy import Policy
from attestation.variant import Variant
from constellation_core import cluster_facts, cluster_history, component_list, join_config
from constellation_core.channel.verifier import PolicyVerifier
from constellation_core.cluster_facts import ClusterFacts
from constellation_core.cluster_objects import TOKEN_ANNOTATION, JoinRequestObject, NodeIdentityObject
from constellation_core.component_list import Component, ComponentList
from constellation_core.conditions import wait_for_async
from constellation_core.errors import KeyProviderUnavailableError
from constellation_core.keys.derivation import derive
from constellation_core.keys.secret import Secret as Key
from constellation_core.names import NAMESPACE
from constellation_core.roles import Role
from constellation_engine.cluster.manifests import manifests, namespace
from constellation_engine.cluster.manifests.crds import custom_resource_definitions
from constellation_proto import join_pb2
from constellation_services.api_client import AiohttpTransport
from constellation_services.join.service import Settings, serve
from node_agent.joining import JoinRequest, Service, ask_again, ask_for_ticket
from tests.constellation_services.join.wire import Wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from pathlib import Path

    from lightkube.models.authentication_v1 import UserInfo

    from attestation.evidence import Evidence
    from attestation.issuer import Issuer
    from constellation_engine.testing.control_plane import ControlPlane
    from constellation_services.join.service import Listening

IMAGE: Final = "constellation-services@sha256:" + 64 * "a"
MASTER: Final = Key(bytes(range(32)))
SALT: Final = bytes(range(32, 64))
MEASUREMENT_SALT: Final = b"m" * 32
KUBERNETES_VERSION: Final = "v1.36.4"
PROGRAMS: Final = ComponentList((Component(name="kubelet", version=KUBERNETES_VERSION, sha256="ab" * 32),))
FRESH: Final = {"4": {"expected": "00" * 32, "enforced": True}}
"""Registers of a TPM that just started, and measured nothing."""
VERIFIER: Final = PolicyVerifier(
    policies=[Policy.from_mapping({"variant": "qemu-vtpm", "measurements": FRESH})], mark=Mark.ANY
)
"""With this a node judges the service."""
PATIENCE: Final = 10.0  # seconds


@dataclass(slots=True)
class Machine:
    """A machine with a TPM of its own.

    Attributes:
        issuer: what it attests itself with.
        delay: waits before each quote, as a slow TPM makes one wait; it may block.
    """

    issuer: Issuer
    delay: Callable[[], object] = lambda: None
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    @property
    def variant(self) -> Variant:
        return self.issuer.variant

    def issue(self, binding: bytes) -> Evidence:
        self.delay()
        with self._one_at_a_time:
            return self.issuer.issue(binding)


def _set_event() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@dataclass(slots=True)
class Keys:
    """The key service, or what is left of it.

    Attributes:
        unavailable: whether it is.
        asked: ids of all keys that were asked for.
        open: cleared, it keeps everybody waiting.
    """

    unavailable: bool = False
    asked: list[str] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=_set_event)

    async def data_key(self, key_id: str, length: int) -> Key:
        self.asked.append(key_id)
        await self.open.wait()
        if self.unavailable:
            raise KeyProviderUnavailableError("the key service: connection refused")
        return derive(MASTER, SALT, key_id, length)


@dataclass(frozen=True, slots=True)
class Document:
    """A file in a ConfigMap."""

    client: Client
    name: str
    key: str

    def write(self, text: str | None) -> None:
        """Write the file as it is, or an object without it."""
        data = {self.key: text} if text is not None else {}
        self.client.apply(
            ConfigMap(metadata=ObjectMeta(name=self.name, namespace=NAMESPACE), data=data), field_manager="test"
        )

    def remove(self) -> None:
        self.client.delete(ConfigMap, self.name, namespace=NAMESPACE)


@dataclass(frozen=True, slots=True)
class JoinConfigDocument(Document):
    """ConfigMap join-config."""

    def set(self, *, max: int = 3, approval: bool = False, measurements: object = FRESH) -> str:  # noqa: A002
        """Write a good one; returns the file."""
        policy = Policy.from_mapping({"variant": "qemu-vtpm", "measurements": measurements})
        rule = join_config.ControlPlanes(max=max, approval=approval)
        text = join_config.JoinConfig(explicit=(policy,), control_planes=rule).to_yaml()
        self.write(text)
        return text


@dataclass(frozen=True, slots=True)
class Facts(Document):
    """ConfigMap cluster."""

    endpoint: str

    def set(self, **changes: Any) -> None:  # noqa: ANN401 - as the facts say
        """Write good ones."""
        known: dict[str, Any] = {
            "name": "test",
            "endpoint": self.endpoint,
            "measurement_salt": MEASUREMENT_SALT,
            "kubernetes_version": KUBERNETES_VERSION,
            "components": PROGRAMS.object_name,
        }
        self.write(ClusterFacts(**(known | changes)).to_yaml())


@cache
def _apply_manifests(control_plane: ControlPlane) -> None:
    """Apply what stays when an API server is cleaned: definitions, roles, admission policies."""
    control_plane.clean()  # what others call a DaemonSet of ours cannot be changed into it
    client = control_plane.client()
    for manifest in manifests(image=IMAGE, variant=Variant.QEMU_VTPM):
        client.apply(manifest, field_manager="constellation", force=True)
    for definition in custom_resource_definitions():
        client.wait(type(definition), name_of(definition), for_conditions=["Established"])
    # An API server answers the first request for a new kind after two seconds.
    with suppress(ApiError):
        client.create(NodeIdentityObject(metadata=ObjectMeta(name="first")), dry_run=True)


@dataclass(frozen=True, slots=True)
class Furnished:
    """An API server with all our objects, roles and admission policies.

    Attributes:
        control_plane: it.
        token: of the join service's account.
    """

    control_plane: ControlPlane
    token: str

    @classmethod
    def of(cls, control_plane: ControlPlane) -> Furnished:
        """Clean an API server, and give it what is ours."""
        _apply_manifests(control_plane)
        control_plane.clean()
        client = control_plane.client()
        for manifest in namespace():
            client.apply(manifest, field_manager="constellation", force=True)
        Document(client, PROGRAMS.object_name, component_list.DATA_KEY).write(PROGRAMS.data[component_list.DATA_KEY])
        return cls(control_plane, control_plane.token("join-service"))


class Cluster:
    """A cluster that machines join: whatever others left on its API server is gone.

    Args:
        furnished: its API server.
        folder: for files of its control plane.
        machine: gives machines by name.
    """

    def __init__(self, furnished: Furnished, folder: Path, machine: Callable[[str], Machine]) -> None:
        control_plane = furnished.control_plane
        self.control_plane = control_plane
        self.client = control_plane.client()
        self.machine = machine
        self.keys = Keys()
        self.wire = Wire(control_plane.url)
        self.join_config = JoinConfigDocument(self.client, join_config.OBJECT_NAME, join_config.DATA_KEY)
        endpoint = control_plane.url.removeprefix("https://")
        self.facts = Facts(self.client, cluster_facts.OBJECT_NAME, cluster_facts.DATA_KEY, endpoint)
        self.services: list[Listening] = []
        self.api_timeout = 3.0  # seconds that the service waits for the API server
        self.kubernetes = folder / "kubernetes"
        self.kubernetes.mkdir()
        (self.kubernetes / "pki").symlink_to(control_plane.pki)
        self._token = furnished.token
        self._reset()

    @asynccontextmanager
    async def service(self, *, ready: bool = True, **settings: Any) -> AsyncIterator[Listening]:  # noqa: ANN401
        """Run an instance of the join service, with the rights of its service account."""
        known: dict[str, Any] = {
            "variant": Variant.QEMU_VTPM,
            "host": "127.0.0.1",
            "port": 0,
            "status_port": 0,
            "kubernetes": self.kubernetes,
            "grace": 2.0,
        }
        machine = self.machine("service")
        async with (
            self.api_client() as client,
            serve(Settings(**(known | settings)), client, self.keys, machine) as listening,
        ):
            self.services.append(listening)
            try:
                if ready:
                    await wait_for_async(listening.ready, timeout=PATIENCE)
                yield listening
            finally:
                self.services.remove(listening)

    def api_client(self) -> AsyncClient:
        """Make the service's client of the API server, over a wire that may break."""
        single = self._kubeconfig(self.wire.url, token=self._token).get()
        assert single is not None
        assert single.user is not None
        tls = verify_cluster(single.cluster, single.user, single.abs_file, trust_env=False)
        transport: Any = self.wire.over(AiohttpTransport(tls))
        return AsyncClient(single, timeout=Timeout(self.api_timeout), trust_env=False, transport=transport)

    async def ticket(
        self,
        machine: Machine,
        name: str = "worker-0",
        *,
        disk: str | None = None,
        role: Role = Role.WORKER,
        service: Listening | None = None,
        timeout: float = PATIENCE,  # noqa: ASYNC109 - passed on
        **request: Any,  # noqa: ANN401 - as the request says
    ) -> join_pb2.Ticket:
        """Have a machine ask for a ticket, as its agent does."""
        asked = new_request(name, disk=disk, role=role, **request)
        return await self.send(machine, asked, service=service, timeout=timeout)

    async def send(
        self,
        machine: Machine,
        request: JoinRequest,
        *,
        service: Listening | None = None,
        timeout: float = PATIENCE,  # noqa: ASYNC109
    ) -> join_pb2.Ticket:
        """Have a machine send a request."""
        return await ask_for_ticket(
            self.addresses(service), request, verifier=VERIFIER, issuer=machine, timeout=timeout
        )

    async def rejoin(
        self,
        machine: Machine,
        disk: str,
        *,
        timeout: float = PATIENCE,  # noqa: ASYNC109
        **renewal: Any,  # noqa: ANN401 - as the request says
    ) -> join_pb2.RejoinTicket:
        """Have a machine that booted again ask for what opens its disk."""
        request = join_pb2.IssueRejoinTicketRequest(disk_uuid=disk, **renewal)
        return await ask_again(self.addresses(), request, verifier=VERIFIER, issuer=machine, timeout=timeout)

    def addresses(self, service: Listening | None = None) -> Sequence[Service]:
        """Where the services are."""
        return [Service("127.0.0.1", one.port) for one in ([service] if service else self.services)]

    def metric(self, name: str, **labels: str) -> float:
        """What all instances counted."""
        registries = [service.metrics.registry for service in self.services]
        return sum(registry.get_sample_value(f"constellation_join_{name}", labels) or 0 for registry in registries)

    async def events(self, reason: str) -> list[str]:
        """Messages of the events of one reason, after all were written."""
        for service in self.services:
            await service.news.flush(PATIENCE)
        found = self.client.list(Event, namespace=NAMESPACE)
        return [event.message or "" for event in found if event.reason == reason]

    def node(self, name: str) -> Any:  # noqa: ANN401 - lightkube's generic objects have no type
        """A NodeIdentity."""
        return self.client.get(NodeIdentityObject, name)

    def token_of(self, name: str) -> str | None:
        """What is noted of a node's bootstrap token."""
        note: str | None = (self.node(name).metadata.annotations or {}).get(TOKEN_ANNOTATION)
        return note

    def tokens(self) -> list[Secret]:
        """All bootstrap tokens."""
        return list(self.client.list(Secret, namespace="kube-system", fields={"type": "bootstrap.kubernetes.io/token"}))

    def leases(self) -> dict[str, str | None]:
        """Holders of leases, by name."""
        found = self.client.list(Lease, namespace=NAMESPACE)
        return {name_of(one): one.spec.holderIdentity if one.spec else None for one in found}

    def stored(self) -> list[str]:
        """Everything that a ticket leaves in the cluster, as "kind/name"."""
        kinds = [NodeIdentityObject, JoinRequestObject]
        named = [f"{kind.__name__}/{name_of(found)}" for kind in kinds for found in self.client.list(kind)]
        leases = [f"Lease/{name}" for name, holder in self.leases().items() if holder]
        return sorted([*named, *leases, *(f"Secret/{name_of(secret)}" for secret in self.tokens())])

    @contextmanager
    def user(self, **credentials: str) -> Iterator[Client]:
        """Be somebody at the API server.

        Args:
            credentials: as a kubeconfig has them, with underscores.
        """
        with Client(self._kubeconfig(self.control_plane.url, **credentials), trust_env=False) as client:
            yield client

    def _reset(self) -> None:
        for kind in (NodeIdentityObject, JoinRequestObject, Node):
            self.client.deletecollection(kind)
        for namespaced in (Lease, Event):
            self.client.deletecollection(namespaced, namespace=NAMESPACE)
        for secret in self.tokens():
            self.client.delete(Secret, name_of(secret), namespace="kube-system")
        nothing = {"data": None}
        self.client.patch(
            ConfigMap, cluster_history.OBJECT_NAME, nothing, namespace=NAMESPACE, patch_type=PatchType.MERGE
        )
        self.facts.set()
        self.join_config.set()

    def _kubeconfig(self, url: str, **credentials: str) -> KubeConfig:
        authority = str(self.control_plane.ca_file)
        user = {name.replace("_", "-"): value for name, value in credentials.items()}
        record = {
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": url, "certificate-authority": authority}}],
            "users": [{"name": "test", "user": user}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        }
        return KubeConfig.from_dict(record)

    def kubectl(self, *words: str) -> str:
        """Run kubectl as an administrator; gives what it prints."""
        command = [str(self.control_plane.kubectl), f"--kubeconfig={self.control_plane.kubeconfig()}", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE).stdout


def new_request(
    name: str = "worker-0",
    *,
    disk: str | None = None,
    role: Role = Role.WORKER,
    wireguard_public_key: bytes | None = None,
    **request: Any,  # noqa: ANN401
) -> JoinRequest:
    """Make a good request."""
    return JoinRequest.new(
        name,
        role.to_message(),
        disk=disk or str(uuid.uuid4()),
        wireguard_public_key=wireguard_public_key or os.urandom(32),
        **request,
    )


def name_of(found: Any) -> str:  # noqa: ANN401 - lightkube has no common type of its classes
    """Name of an object."""
    return str(found.metadata.name)


def user_of(client: Client) -> UserInfo:
    """Ask the API server who somebody is.

    Raises:
        ApiError: nobody that it knows.
    """
    review = client.create(SelfSubjectReview())
    assert review.status
    assert review.status.userInfo
    return review.status.userInfo


def together(*asked: Any) -> Any:  # noqa: ANN401 - whatever is awaited
    """Let all begin before any ends; errors are results."""
    return asyncio.gather(*asked, return_exceptions=True)
