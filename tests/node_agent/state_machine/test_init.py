# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Init: from a new machine to the first node of a cluster, and what is refused on the way."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from grpclib import GRPCError, Status

from attestation.case import Mark
from constellation_core.keys.derivation import (
    KUBE_SECRETS,
    MEASUREMENT_SECRET,
    cluster_id,
    derive,
    state_disk,
)
from constellation_proto import init_pb2, keys_pb2
from constellation_proto.init_grpc import InitStub
from node_agent.parts import ClusterPlan
from node_agent.phases import Phase
from node_agent.testing.parts import KUBECONFIG

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from constellation_core.keys.master_secret import MasterSecret
    from node_agent.testing.machine import Boot, FakeMachine

SALT = bytes(range(32))  # as in conftest.py

Requests = Callable[..., init_pb2.InitRequest]


@asynccontextmanager
async def waiting(machine: FakeMachine) -> AsyncIterator[Boot]:
    """A control plane that waits for init."""
    async with machine.booted() as boot:
        await boot.reached(Phase.WAITING)
        yield boot


async def init(
    boot: Boot, request: init_pb2.InitRequest, mark: Mark | bytes = Mark.UNMARKED
) -> list[init_pb2.InitEvent]:
    async with boot.administrator(boot.init_port, mark) as channel:
        return await InitStub(channel).Init(request)


async def refusal(boot: Boot, request: init_pb2.InitRequest, mark: Mark | bytes = Mark.UNMARKED) -> GRPCError:
    with pytest.raises(GRPCError) as error:
        await init(boot, request, mark)
    return error.value


def acknowledgement(request: init_pb2.InitRequest, **changes: str | bytes) -> init_pb2.AcknowledgeRequest:
    fields: dict[str, Any] = {"request_id": request.request_id, "init_secret": request.init_secret, **changes}
    return init_pb2.AcknowledgeRequest(**fields)


@pytest.fixture
def ours(master: MasterSecret) -> bytes:
    """The cluster ID, as an administrator computes it who comes back."""
    return cluster_id(derive(master.secret, master.salt, MEASUREMENT_SECRET), SALT)


async def test_a_new_control_plane_becomes_a_cluster(machine: FakeMachine, init_request: Requests) -> None:
    async with waiting(machine) as boot:
        events = await init(boot, init_request())
        await boot.reached(Phase.SERVING)
    done = events[-1].done
    assert (done.kubeconfig, done.owner) == (KUBECONFIG, "control-0")
    assert boot.phases == ["starting", "metadata", "waiting", "initializing", "serving"]
    assert boot.kubernetes.running


async def test_progress_is_told_while_it_is_made(machine: FakeMachine, init_request: Requests) -> None:
    async with waiting(machine) as boot:
        events = await init(boot, init_request())
    finished = [event.phase.name for event in events if event.phase.finished]
    assert finished == ["disk", "keys", "mesh", "kubernetes"]
    assert [event.log_line for event in events if event.log_line] == ["kubeadm: preflight"]


async def test_keys_are_those_of_the_cluster(
    machine: FakeMachine, init_request: Requests, master: MasterSecret
) -> None:
    request = init_request()
    async with waiting(machine) as boot:
        events = await init(boot, request)
        await boot.reached(Phase.SERVING)
        secret = derive(master.secret, master.salt, MEASUREMENT_SECRET)
        expected = cluster_id(secret, request.measurement_salt)
        assert events[-1].done.cluster_id == expected
        assert boot.mesh.secret == secret
    disk_key = derive(master.secret, master.salt, state_disk(boot.disk.header["uuid"]))
    assert boot.disk.header["key"] == disk_key.reveal().hex()
    assert boot.disk.header["cluster"] == expected.hex()[:12]
    assert isinstance(boot.kubernetes.plan, ClusterPlan)
    assert boot.kubernetes.plan.secrets_key == derive(master.secret, master.salt, KUBE_SECRETS)


async def test_the_boot_is_marked_for_the_cluster(machine: FakeMachine, init_request: Requests) -> None:
    async with waiting(machine) as boot:
        events = await init(boot, init_request())
        await boot.reached(Phase.SERVING)
    done = events[-1].done
    assert (boot.settings.run / "cluster-id").read_text() == f"{done.cluster_id.hex()}\n"
    assert mark_of(done.cluster_id).hex() in boot.screen


async def test_the_plan_says_who_the_first_node_is(machine: FakeMachine, init_request: Requests) -> None:
    request = init_request()
    async with waiting(machine) as boot:
        await init(boot, request)
    plan = boot.kubernetes.plan
    assert isinstance(plan, ClusterPlan)
    assert (plan.node.name, plan.node.variant, plan.node.identity_kind) == ("control-0", "qemu-vtpm", "TPM name")
    assert str(plan.node.disk) == boot.disk.header["uuid"]
    assert str(plan.node.mesh_address) == "10.213.1.1"
    assert (str(plan.pod_cidr), plan.endpoint) == (request.pod_cidr, request.endpoint)


@pytest.mark.parametrize(
    "network, expected",
    [
        ([], ("192.0.2.7",)),
        ([{"mac": "52:54:00:00:00:01", "addresses": ["192.0.2.9/24"]}], ("192.0.2.9",)),
    ],
)
async def test_peers_find_a_node_by_its_addresses_outside(
    machine: FakeMachine,
    init_request: Requests,
    monkeypatch: pytest.MonkeyPatch,
    network: list[object],
    expected: tuple[str, ...],
) -> None:
    found = {"eth0": "192.0.2.7", "constellation0": "10.213.1.1", "cni0": "10.244.0.1"}
    monkeypatch.setattr("node_agent.machine.own_addresses", lambda: found)
    monkeypatch.setattr("node_agent.addresses.RELOAD", ("true",))
    machine.settings["networks"] = machine.folder / "networks"
    machine.write_metadata(network=network)
    async with waiting(machine) as boot:
        await init(boot, init_request())
    assert isinstance(boot.kubernetes.plan, ClusterPlan)
    assert boot.kubernetes.plan.node.addresses == expected


async def test_pods_are_kept_in_before_there_are_any(machine: FakeMachine, init_request: Requests) -> None:
    async with waiting(machine) as boot:
        await init(boot, init_request())
    assert boot.mesh.protected == "10.244.0.0/16"
    seen = machine.moments.seen
    assert seen.index("mesh.protect") < seen.index("mesh.start") < seen.index("kubernetes.init")


async def test_a_wrong_secret_is_told_nothing(machine: FakeMachine, init_request: Requests) -> None:
    async with waiting(machine) as boot:
        await boot.heard("is ready")
        before = boot.journal
        error = await refusal(boot, init_request(init_secret=b"wrong"))
        assert (error.status, error.message) == (Status.PERMISSION_DENIED, None)
        assert boot.journal == before
        await init(boot, init_request())


@pytest.mark.parametrize("secret", [b"", b"\0", b"x" * 73, b"x" * 100_000])
async def test_odd_secrets_are_wrong(machine: FakeMachine, init_request: Requests, secret: bytes) -> None:
    async with waiting(machine) as boot:
        error = await refusal(boot, init_request(init_secret=secret))
    assert error.status is Status.PERMISSION_DENIED


async def test_without_a_hash_nobody_initialises(machine: FakeMachine, init_request: Requests) -> None:
    machine.write_metadata(init_secret_hash="")
    async with waiting(machine) as boot:
        assert "nobody can initialise this node" in boot.screen
        error = await refusal(boot, init_request())
    assert error.status is Status.PERMISSION_DENIED


async def test_who_tries_too_often_is_sent_away(machine: FakeMachine, init_request: Requests) -> None:
    async with waiting(machine) as boot, boot.administrator(boot.init_port) as channel:
        stub = InitStub(channel)
        tries = [stub.Init(init_request(init_secret=b"wrong")) for _ in range(24)]
        errors = await asyncio.gather(*tries, return_exceptions=True)
    statuses = {error.status for error in errors if isinstance(error, GRPCError)}
    assert statuses == {Status.PERMISSION_DENIED, Status.RESOURCE_EXHAUSTED}


async def test_a_second_init_is_refused(machine: FakeMachine, init_request: Requests, ours: bytes) -> None:
    async with waiting(machine) as boot:
        await init(boot, init_request())
        error = await refusal(boot, init_request(), ours)
    assert error.status is Status.FAILED_PRECONDITION


async def test_a_second_init_is_refused_while_the_first_one_runs(
    machine: FakeMachine, init_request: Requests, ours: bytes
) -> None:
    machine.moments.cut_at("kubernetes.init")
    async with waiting(machine) as boot:
        first = asyncio.create_task(init(boot, init_request()))
        await machine.moments.dark.wait()
        error = await refusal(boot, init_request(), ours)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
    assert error.status is Status.FAILED_PRECONDITION


async def test_a_lost_connection_is_taken_up_again(machine: FakeMachine, init_request: Requests, ours: bytes) -> None:
    request = init_request()
    machine.moments.cut_at("kubernetes.init")
    async with waiting(machine) as boot:
        first = asyncio.create_task(init(boot, request))
        await machine.moments.dark.wait()
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        again = asyncio.create_task(init(boot, request, ours))
        machine.moments.mend()
        machine.moments.go_on()
        events = await again
    assert events[-1].done.kubeconfig == KUBECONFIG
    assert events[0].phase.name == "disk"


async def test_a_result_is_told_again(machine: FakeMachine, init_request: Requests, ours: bytes) -> None:
    request = init_request()
    async with waiting(machine) as boot:
        assert await init(boot, request) == await init(boot, request, ours)
        error = await refusal(boot, init_request(request_id=request.request_id, init_secret=b"wrong"), ours)
    assert error.status is Status.PERMISSION_DENIED


async def test_the_port_closes_when_the_answer_is_in_safe_hands(machine: FakeMachine, init_request: Requests) -> None:
    request = init_request()
    async with waiting(machine) as boot:
        async with boot.administrator(boot.init_port) as channel:
            await InitStub(channel).Init(request)
            await InitStub(channel).Acknowledge(acknowledgement(request))
        await boot.reached(Phase.SERVING)
        await boot.until(lambda: not boot.listens(boot.init_port), "closed port")


async def test_who_hangs_up_has_acknowledged_nothing(machine: FakeMachine, init_request: Requests, ours: bytes) -> None:
    request = init_request()
    async with waiting(machine) as boot:
        first = await init(boot, request)
        await boot.reached(Phase.SERVING)
        assert await init(boot, request, ours) == first


@pytest.mark.parametrize(
    "changes, status",
    [
        ({"init_secret": b"wrong"}, Status.PERMISSION_DENIED),
        ({"init_secret": b""}, Status.PERMISSION_DENIED),
        ({"request_id": "another"}, Status.FAILED_PRECONDITION),
        ({"request_id": ""}, Status.FAILED_PRECONDITION),
    ],
)
async def test_nobody_else_closes_the_port(
    machine: FakeMachine, init_request: Requests, ours: bytes, changes: dict[str, str | bytes], status: Status
) -> None:
    request = init_request()
    async with waiting(machine) as boot:
        await init(boot, request)
        async with boot.administrator(boot.init_port, ours) as channel:
            with pytest.raises(GRPCError) as error:
                await InitStub(channel).Acknowledge(acknowledgement(request, **changes))
        assert error.value.status is status
        assert boot.listens(boot.init_port)


async def test_what_has_no_answer_yet_is_not_acknowledged(
    machine: FakeMachine, init_request: Requests, ours: bytes
) -> None:
    request = init_request()
    machine.moments.cut_at("kubernetes.init")
    async with waiting(machine) as boot:
        first = asyncio.create_task(init(boot, request))
        await machine.moments.dark.wait()
        async with boot.administrator(boot.init_port, ours) as channel:
            with pytest.raises(GRPCError, match="no answer to this request yet"):
                await InitStub(channel).Acknowledge(acknowledgement(request))
        machine.moments.mend()
        machine.moments.go_on()
        assert (await first)[-1].done.kubeconfig == KUBECONFIG


async def test_the_port_closes_some_time_later(machine: FakeMachine, init_request: Requests) -> None:
    machine.settings["linger"] = 0.01
    async with waiting(machine) as boot:
        await init(boot, init_request())
        await boot.reached(Phase.SERVING)
        await boot.until(lambda: not boot.listens(boot.init_port), "closed port")


async def test_a_worker_has_no_port_for_init(machine: FakeMachine) -> None:
    machine.write_metadata(role="worker", name="worker-0")
    async with waiting(machine) as boot:
        assert "port" not in boot.said
        assert "for a cluster that lets this machine in" in boot.screen


async def test_secrets_are_nowhere_to_be_read(
    machine: FakeMachine, init_request: Requests, master: MasterSecret, caplog: pytest.LogCaptureFixture
) -> None:
    async with waiting(machine) as boot:
        await init(boot, init_request())
        await boot.reached(Phase.SERVING)
    said = boot.said + boot.screen + caplog.text + repr(boot.kubernetes.plan)
    for secret in (master.secret, derive(master.secret, master.salt, MEASUREMENT_SECRET)):
        assert secret.reveal().hex() not in said
        assert repr(secret.reveal())[2:-1] not in said


@pytest.mark.parametrize(
    "field, value",
    [
        ("request_id", "1"),
        ("key_material", keys_pb2.KeyMaterial(uri="cluster://", secret=b"short", salt=bytes(32))),
        ("measurement_salt", b"short"),
        ("cluster_name", "Mini!"),
        ("kubernetes_version", "v1.35.0"),
        ("kubernetes_version", "latest"),
        ("components", []),
        ("endpoint", "nowhere"),
        ("endpoint", "host:0"),
        ("endpoint", "host:70000"),
        ("certificate_sans", ["-"]),
        ("certificate_sans", ["a"] * 33),
        ("service_cidr", "8.8.8.0/24"),
        ("service_cidr", "10.96.0.1/16"),
        ("service_cidr", "10.213.0.0/16"),
        ("service_cidr", "10.244.1.0/24"),
        ("pod_cidr", "10.244.0.0/28"),
        ("pod_cidr", ""),
        ("join_config", "version: 1"),
        ("join_config", "nonsense: ["),
    ],
)
async def test_a_bad_request_changes_nothing(
    machine: FakeMachine, init_request: Requests, field: str, value: object
) -> None:
    async with waiting(machine) as boot:
        error = await refusal(boot, init_request(**{field: value}))
        assert error.status is Status.INVALID_ARGUMENT
        assert field in str(error.message) or "networks" in str(error.message)
        assert "nothing has happened yet" in str(error.message)
        await init(boot, init_request())


async def test_all_mistakes_are_told_at_once(machine: FakeMachine) -> None:
    request = init_pb2.InitRequest(request_id=str(uuid.uuid4()), init_secret=b"correct horse battery staple")
    async with waiting(machine) as boot:
        error = await refusal(boot, request)
    names = ("key_material", "measurement_salt", "cluster_name", "endpoint", "pod_cidr", "components", "join_config")
    assert [name for name in names if f"{name}:" not in str(error.message)] == []


async def test_other_programs_than_the_image_brings_are_refused(machine: FakeMachine, init_request: Requests) -> None:
    async with waiting(machine) as boot:
        request = init_request()
        request.components[0].sha256 = "cd" * 32
        error = await refusal(boot, request)
    assert "components: expected programs that this image brings, got 'kubelet 1.36.4'" in str(error.message)


def mark_of(cluster: bytes) -> bytes:
    """What the register holds that was extended with a cluster ID."""
    return hashlib.sha256(bytes(32) + hashlib.sha256(cluster).digest()).digest()
