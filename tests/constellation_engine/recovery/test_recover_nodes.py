# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Stopped control planes come back: over the real channel, to the real recovery server, judged by a real TPM."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import bcrypt
import pytest

from attestation.policy import Policy
from constellation_core.errors import ConfigError
from constellation_core.keys.key_material import KeyMaterial
from constellation_core.keys.master_secret import MasterSecret
from constellation_core.keys.secret import Secret
from constellation_engine.cluster.cluster_verdict import Endpoint
from constellation_engine.cluster.recovery import RecoveryOrder, recover_nodes
from constellation_engine.cluster.recovery_outcome import Outcome, Recovery
from constellation_engine.errors import RecoveryError
from constellation_engine.testing.programs import free_port
from constellation_services.testing.verified_node import (
    CLUSTER_ID,
    OTHER_CLUSTER_ID,
    POLICY,
    node_tpm,
    serving_node,
)
from node_agent.errors import PermanentError, TemporaryError
from node_agent.phases import Phase
from node_agent.testing.parts import KUBECONFIG

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from attestation.testing.swtpm import Swtpm
    from node_agent.testing.machine import Boot, FakeMachine

OTHER_IMAGE = Policy.from_mapping(
    {"variant": "qemu-vtpm", "measurements": {"4": {"expected": "00" * 32, "enforced": True}}}
)
RECOVERY_SECRET = b"a recovery secret"


def place(boot: Boot, name: str = "control-0") -> Endpoint:
    return Endpoint("127.0.0.1", boot.recover_port, name)


async def recover(boot: Boot, order: RecoveryOrder, seconds: float = 20.0) -> Recovery:
    await boot.reached(Phase.LOCKED)
    return await recover_nodes([place(boot)], order, timeout=seconds)


def nobody() -> Endpoint:
    return Endpoint("127.0.0.1", free_port(), "nobody")


async def test_a_control_plane_comes_back_with_the_kubeconfig(machine: FakeMachine, order: RecoveryOrder) -> None:
    async with machine.booted() as boot:
        recovery = await recover(boot, order)
        await boot.reached(Phase.SERVING)
    assert recovery.require().kubeconfig == KUBECONFIG
    assert [node.outcome for node in recovery.nodes] == [Outcome.BACK]


async def test_the_kubeconfig_is_not_shown(machine: FakeMachine, order: RecoveryOrder) -> None:
    async with machine.booted() as boot:
        recovery = await recover(boot, order)
    assert KUBECONFIG.decode() not in f"{recovery!r} {recovery.nodes[0].to_mapping()}"


async def test_a_wrong_master_secret_is_refused_and_the_node_waits_on(
    machine: FakeMachine, order: RecoveryOrder
) -> None:
    wrong = replace(order, key_material=KeyMaterial.of(MasterSecret.random()))
    async with machine.booted() as boot:
        recovery = await recover(boot, wrong)
        assert [node.outcome for node in recovery.nodes] == [Outcome.REFUSED]
        with pytest.raises(RecoveryError, match="the key does not open the state disk") as caught:
            recovery.require()
        assert "is this the secret of this cluster?" in caught.value.hint
        assert boot.phases[-1] == Phase.LOCKED
        (await recover(boot, order)).require()
        await boot.reached(Phase.SERVING)


async def test_a_wrong_recovery_secret_is_refused(machine: FakeMachine, order: RecoveryOrder) -> None:
    machine.write_metadata(recovery_secret_hash=bcrypt.hashpw(RECOVERY_SECRET, bcrypt.gensalt(4)).decode())
    async with machine.booted() as boot:
        refused = await recover(boot, replace(order, recovery_secret=Secret(b"wrong")))
        assert refused.nodes[0].outcome is Outcome.REFUSED
        assert refused.nodes[0].reason == "it does not know this secret"
        (await recover(boot, replace(order, recovery_secret=Secret(RECOVERY_SECRET)))).require()


async def test_a_machine_of_another_image_is_given_nothing(machine: FakeMachine, order: RecoveryOrder) -> None:
    machine.moments.seen.clear()
    async with machine.booted() as boot:
        recovery = await recover(boot, replace(order, policies=[OTHER_IMAGE]))
    assert recovery.nodes[0].outcome is Outcome.NOT_ACCEPTED
    assert "measurements.4" in recovery.nodes[0].reason
    assert "disk.open" not in machine.moments.seen


@pytest.fixture
def marked(tmp_path: Path) -> Iterator[Swtpm]:
    """The TPM of a node that belongs to a cluster in this boot."""
    (tmp_path / "marked").mkdir()
    with node_tpm(tmp_path / "marked", CLUSTER_ID) as tpm:
        yield tpm


@pytest.mark.parametrize(
    "cluster_id, outcome",
    [
        (CLUSTER_ID, Outcome.ALREADY_BACK),
        (OTHER_CLUSTER_ID, Outcome.NOT_ACCEPTED),
        (None, Outcome.NOT_ACCEPTED),
    ],
)
async def test_a_node_with_a_mark_is_given_nothing(
    marked: Swtpm, order: RecoveryOrder, cluster_id: bytes | None, outcome: Outcome
) -> None:
    """A service that knows no recovery would refuse the request: it gets none."""
    known = replace(order, policies=[POLICY], cluster_id=cluster_id)
    async with serving_node("control-0", marked) as node:
        recovery = await recover_nodes([Endpoint("127.0.0.1", node.port)], known, timeout=20)
    assert recovery.nodes[0].outcome is outcome
    assert recovery.is_complete is (outcome is Outcome.ALREADY_BACK)


async def test_whoever_listens_later_is_waited_for(machine: FakeMachine, order: RecoveryOrder) -> None:
    port = free_port()
    machine.settings["recover_port"] = port
    waiting = asyncio.create_task(recover_nodes([Endpoint("127.0.0.1", port)], order, timeout=30))
    async with machine.booted() as boot:
        assert (await waiting).is_complete
        await boot.reached(Phase.SERVING)


@pytest.mark.parametrize("reset", [True, False])
async def test_whoever_hangs_up_is_asked_again(order: RecoveryOrder, reset: bool) -> None:
    """QEMU accepts connections for a machine that does not listen yet, and ends them in one way or the other."""
    times = 0

    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal times
        times += 1
        if reset:
            writer.transport.abort()
        else:
            writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        recovery = await recover_nodes([Endpoint("127.0.0.1", port)], order, timeout=1)
    assert recovery.nodes[0].outcome is Outcome.NO_ANSWER
    assert times > 1


async def test_whoever_never_listens_is_named_in_the_end(order: RecoveryOrder) -> None:
    recovery = await recover_nodes([nobody()], order, timeout=0.3)
    assert recovery.nodes[0].outcome is Outcome.NO_ANSWER
    with pytest.raises(RecoveryError, match="0 of 1 control planes are back: nobody: "):
        recovery.require()


async def test_a_quorum_is_enough(
    control_plane: Callable[[str], Awaitable[FakeMachine]], machine: FakeMachine, order: RecoveryOrder
) -> None:
    other = await control_plane("control-1")
    async with machine.booted() as one, other.booted() as two:
        await asyncio.gather(one.reached(Phase.LOCKED), two.reached(Phase.LOCKED))
        places = [place(one), place(two, "control-1"), nobody()]
        recovery = await recover_nodes(places, order, wanted=2, timeout=20)
        await asyncio.gather(one.reached(Phase.SERVING), two.reached(Phase.SERVING))
    assert [node.outcome for node in recovery.nodes] == [Outcome.BACK, Outcome.BACK, Outcome.NO_ANSWER]
    assert recovery.require().back == 2


async def test_where_too_many_refuse_nobody_is_waited_for(machine: FakeMachine, order: RecoveryOrder) -> None:
    wrong = replace(order, key_material=KeyMaterial.of(MasterSecret.random()))
    async with machine.booted() as boot:
        await boot.reached(Phase.LOCKED)
        async with asyncio.timeout(15):
            recovery = await recover_nodes([place(boot), nobody()], wrong, timeout=50)
    assert [node.outcome for node in recovery.nodes] == [Outcome.REFUSED, Outcome.NO_ANSWER]


async def test_a_disk_that_answers_later_is_asked_again(machine: FakeMachine, order: RecoveryOrder) -> None:
    machine.moments.break_at("disk.open", TemporaryError("not yet"), times=2)
    async with machine.booted() as boot:
        (await recover(boot, order)).require()


async def test_a_disk_that_is_broken_says_so(machine: FakeMachine, order: RecoveryOrder) -> None:
    machine.moments.break_at("disk.mount", PermanentError("the file system is damaged"))
    async with machine.booted() as boot:
        recovery = await recover(boot, order)
    assert (recovery.nodes[0].outcome, recovery.nodes[0].reason) == (Outcome.REFUSED, "the file system is damaged")


async def test_what_happens_is_told(machine: FakeMachine, order: RecoveryOrder) -> None:
    heard: list[str] = []
    async with machine.booted() as boot:
        await boot.reached(Phase.LOCKED)
        await recover_nodes([place(boot)], order, progress=lambda node, words: heard.append(f"{node}: {words}"))
    assert heard == ["control-0: genuine, and booted an accepted image: opens its disk", "control-0: back"]


async def test_without_a_policy_nobody_is_asked(order: RecoveryOrder) -> None:
    with pytest.raises(ConfigError, match="at least one policy"):
        await recover_nodes([nobody()], replace(order, policies=[]))
