# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Bring back a cluster whose control planes stopped: each gets the key material, after it proved what it booted.

    order = RecoveryOrder(policies=policies, key_material=KeyMaterial.of(master_secret))
    recovery = asyncio.run(recover_nodes(endpoints, order, timeout=600))
    recovery.require()

1. The attested channel: evidence is accepted by a policy, and this boot belongs to no cluster yet (attack: a machine of
   somebody who would like to have the master secret).
2. The key material goes over that very channel. The node opens its disk with it, or says that it does not fit.
3. Who said no is not asked again: another try with the same secret gives the same answer. The node waits on.
4. Who does not listen yet, is busy, or went away is asked again until the time is over. Whoever was interrupted calls
   this again: a node that carries the mark of the cluster is back already.

Protocols, section 4; the other side is `node_agent.recover_server`.
"""

# ruff: noqa: ASYNC109 - how long all of it may take is part of the question

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from grpclib import GRPCError, Status
from grpclib.exceptions import ProtocolError, StreamTerminatedError

from attestation.case import Mark
from attestation.roots import VENDOR_ROOTS, Roots
from constellation_core.channel.client import attested_channel
from constellation_core.channel.verifier import PolicyVerifier
from constellation_core.errors import ChannelError, PeerNotAcceptedError, PeerUnavailableError
from constellation_engine.cluster.cluster_verdict import Endpoint
from constellation_engine.cluster.recovery_outcome import NodeRecovery, Outcome, Recovery
from constellation_proto import recover_pb2
from constellation_proto.recover_grpc import RecoverStub

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attestation.policy import Policy
    from constellation_core.keys.key_material import KeyMaterial
    from constellation_core.keys.secret import Secret

Progress = Callable[[Endpoint, str], None]

DEFAULT_TIMEOUT: Final = 600.0  # seconds for all nodes; an emulated one needs 60 to listen
CONNECT: Final = 45.0  # seconds for one try: an emulated TPM takes its time
ANSWER: Final = 120.0  # seconds for a node to open its disk
PAUSE: Final = 1.0  # seconds between two tries

_TRY_AGAIN: Final = frozenset({Status.RESOURCE_EXHAUSTED, Status.UNAVAILABLE})
_WRONG_SECRET: Final = "is this the secret of this cluster? nothing was changed, and the node waits on"  # noqa: S105


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryOrder:
    """What nodes are judged by, and what they get.

    Attributes:
        policies: what is acceptable; a node must satisfy one of them.
        key_material: of the cluster.
        recovery_secret: for nodes whose metadata demands one; None for none.
        cluster_id: tells nodes that are back from strangers that belong to a cluster; None where nobody knows it.
        roots: vendor keys to believe; others than the default only for fakes.
    """

    policies: Sequence[Policy]
    key_material: KeyMaterial
    recovery_secret: Secret | None = None
    cluster_id: bytes | None = None
    roots: Roots = VENDOR_ROOTS

    def verifier(self, mark: Mark | bytes) -> PolicyVerifier:
        """Give who judges nodes that carry a mark."""
        return PolicyVerifier(policies=self.policies, mark=mark, roots=self.roots)

    def request(self) -> recover_pb2.RecoverRequest:
        """Write the request; unlike this record it shows the secrets."""
        secret = self.recovery_secret.reveal() if self.recovery_secret is not None else b""
        return recover_pb2.RecoverRequest(key_material=self.key_material.to_message(), recovery_secret=secret)


async def recover_nodes(
    endpoints: Sequence[Endpoint],
    order: RecoveryOrder,
    *,
    wanted: int | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    progress: Progress = lambda _endpoint, _words: None,
) -> Recovery:
    """Give stopped control planes what they wait for, side by side.

    Args:
        endpoints: where they listen; port 9999 of each.
        order: what they are judged by, and what they get.
        wanted: how many have to come back: a quorum lets the others rejoin by themselves. None for all.
        timeout: seconds for all of it.
        progress: told what happens to each node, in a few words.

    Raises:
        ConfigError: there is no policy.
    """
    order.verifier(Mark.UNMARKED)  # refuses to judge by nothing before anybody is asked
    asked = [_Node(endpoint, order, progress) for endpoint in endpoints]
    enough = len(asked) if wanted is None else wanted
    open_ones = {asyncio.create_task(node.ask_until_it_answers()) for node in asked}
    everybody = tuple(open_ones)
    try:
        async with asyncio.timeout(timeout):
            while open_ones and _undecided(asked, enough):
                _, open_ones = await asyncio.wait(open_ones, return_when=asyncio.FIRST_COMPLETED)
            while any(node.is_talking for node in asked):  # who has the secret already may say what it did with it
                _, open_ones = await asyncio.wait(open_ones, return_when=asyncio.FIRST_COMPLETED)
    except TimeoutError:
        pass  # the nodes know what they said last
    finally:
        for task in everybody:
            task.cancel()
        ended = await asyncio.gather(*everybody, return_exceptions=True)
    for one in ended:
        if isinstance(one, Exception):
            raise one
    return Recovery(tuple(node.state for node in asked), enough)


def _undecided(asked: Sequence[_Node], enough: int) -> bool:
    """Whether it may still come to enough, and has not yet."""
    back = sum(node.state.outcome.is_back for node in asked)
    hopeful = sum(node.state.outcome is Outcome.NO_ANSWER for node in asked)
    return back < enough <= back + hopeful


class _Node:
    """One control plane, and what it said last."""

    def __init__(self, endpoint: Endpoint, order: RecoveryOrder, progress: Progress) -> None:
        self._order = order
        self._progress = progress
        self.state = NodeRecovery(endpoint=endpoint, reason="it was not reached", hint="is it switched on?")
        self.is_talking = False

    async def ask_until_it_answers(self) -> None:
        """Ask again and again, until it is back or says no."""
        while self.state.outcome is Outcome.NO_ANSWER:
            try:
                await self._ask()
            except PeerNotAcceptedError as error:
                await self._see_whether_it_is_back(error)
            except PeerUnavailableError as error:
                self._note(Outcome.NO_ANSWER, str(error), "it listens once it has booted, and waits for recovery")
            except ChannelError as error:
                self._note(Outcome.NOT_ACCEPTED, str(error), error.hint)
            except GRPCError as error:
                self._hear(error)
            except (StreamTerminatedError, ProtocolError, OSError, TimeoutError) as error:
                self._note(Outcome.NO_ANSWER, f"the connection ended: {str(error) or type(error).__name__}", "")
            if self.state.outcome is Outcome.NO_ANSWER:
                await asyncio.sleep(PAUSE)

    async def _ask(self) -> None:
        where = self.state.endpoint
        verifier = self._order.verifier(Mark.UNMARKED)
        async with attested_channel(where.host, where.port, verifier=verifier, timeout=CONNECT) as channel:  # 1
            self._progress(where, "genuine, and booted an accepted image: opens its disk")
            self.is_talking = True
            try:
                answer = await RecoverStub(channel).Recover(self._order.request(), timeout=ANSWER)  # 2
            finally:
                self.is_talking = False
        self._note(Outcome.BACK, "", "")
        self.state = replace(self.state, kubeconfig=answer.kubeconfig)

    def _hear(self, error: GRPCError) -> None:
        """Take a refusal for what it is: of the secret, or of the moment."""
        if error.status in _TRY_AGAIN:
            self._note(Outcome.NO_ANSWER, f"it asks to be asked later: {error.message or error.status.name}", "")
        else:  # 3
            self._note(Outcome.REFUSED, error.message or "it does not know this secret", _WRONG_SECRET)

    async def _see_whether_it_is_back(self, error: PeerNotAcceptedError) -> None:
        """Tell a node that is back already from one that is not ours."""  # 4
        reasons = error.verdict.mismatches if error.verdict is not None else ()
        if self._order.cluster_id is None or {reason.name for reason in reasons} != {"mark"}:
            self._note(Outcome.NOT_ACCEPTED, str(error), error.hint)
            return
        where, verifier = self.state.endpoint, self._order.verifier(self._order.cluster_id)
        try:
            async with attested_channel(where.host, where.port, verifier=verifier, timeout=CONNECT):
                self._note(Outcome.ALREADY_BACK, "", "")
        except PeerUnavailableError as gone:
            self._note(Outcome.NO_ANSWER, str(gone), "")
        except ChannelError as other:
            self._note(Outcome.NOT_ACCEPTED, str(other), other.hint)

    def _note(self, outcome: Outcome, reason: str, hint: str) -> None:
        """Keep what it said, and tell of it if it is news."""
        words = f"{outcome}: {reason}" if reason else outcome.value
        if (outcome, reason) != (self.state.outcome, self.state.reason):
            self._progress(self.state.endpoint, words)
        self.state = replace(self.state, outcome=outcome, reason=reason, hint=hint)
