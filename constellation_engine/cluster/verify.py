# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Verify all nodes of a cluster: each one proves itself, and together they are the cluster that they say they are.

    members = read_members(client)
    endpoints = [member.endpoint() for member in members]
    verdict = asyncio.run(verify_cluster(endpoints, policies, cluster_id=cluster_id, members=members))
    verdict.require()

1. Every node is asked, not the one behind a load balancer, side by side: a slow one delays nobody.
2. The attested channel: its evidence is accepted by a policy, bound to the connection, and carries the mark of the
   cluster (attack: a machine that is genuine, and somebody else's).
3. The statement: its evidence is bound to a nonce of ours and to the cluster ID (attacks: an old statement, one for
   another cluster where no register holds a mark).
4. Channel and statement are of the same machine, the one that was asked for (attack: a node passes on the statement of
   another).
5. No machine answers for two nodes (attack: one good node stands in for bad ones).
6. What the cluster knows of its nodes agrees: all were asked, and each is the machine that joined under its name
   (attack: a node that nobody verifies).
"""

# ruff: noqa: ASYNC109 - how long a node may take is part of the question

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from grpclib import GRPCError, Status
from grpclib.exceptions import ProtocolError, StreamTerminatedError

from attestation.case import Mark
from attestation.errors import AttestationError
from attestation.evidence import Evidence
from attestation.roots import VENDOR_ROOTS, Roots
from attestation.verdict import Mismatch
from constellation_core.channel.client import attested_channel
from constellation_core.channel.verifier import PolicyVerifier
from constellation_core.errors import ChannelError, PeerNotAcceptedError, PeerUnavailableError
from constellation_core.statements import new_nonce, statement_binding
from constellation_engine.cluster.cluster_verdict import ClusterVerdict, Endpoint, NodeVerdict
from constellation_engine.cluster.comparison import compare
from constellation_proto import verify_pb2
from constellation_proto.verify_grpc import VerifyStub

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from attestation.policy import Policy
    from attestation.variant import Variant
    from attestation.verdict import Verdict
    from constellation_core.channel.client import AttestedChannel
    from constellation_core.image_manifest import SignedManifest
    from constellation_engine.cluster.members import Member

Progress = Callable[[Endpoint, str], None]

DEFAULT_TIMEOUT: Final = 30.0  # seconds for each node
AT_ONCE: Final = 64  # nodes
ATTEMPTS: Final = 3
PAUSE: Final = 1.0  # seconds between attempts

_TRY_AGAIN: Final = frozenset({Status.RESOURCE_EXHAUSTED, Status.UNAVAILABLE})


async def verify_cluster(
    endpoints: Sequence[Endpoint],
    policies: Sequence[Policy],
    *,
    cluster_id: bytes | None = None,
    members: Sequence[Member] | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    progress: Progress = lambda _endpoint, _words: None,
    roots: Roots = VENDOR_ROOTS,
) -> ClusterVerdict:
    """Verify nodes, and what they are together.

    Args:
        endpoints: all nodes of the cluster.
        policies: what is acceptable; a node must satisfy one of them.
        cluster_id: 32 bytes, of the cluster that the nodes must belong to. None accepts nodes of any one cluster, asks
            for no statements, and shows in the verdict.
        members: what the cluster says that it has; None does not compare.
        timeout: seconds that each node may take.
        progress: told what happens to each node, in a few words.
        roots: vendor keys to believe; others than the default only for fakes.

    Raises:
        ConfigError: there is no policy.
        StatementError: the cluster ID has another size.
    """
    if cluster_id is not None:
        statement_binding(new_nonce(), cluster_id)  # refuses a wrong size before anybody is asked
    at = datetime.now(UTC)
    verifier = _ClusterVerifier(PolicyVerifier(policies=policies, roots=roots), cluster_id)
    places = asyncio.Semaphore(AT_ONCE)

    async def ask(endpoint: Endpoint) -> NodeVerdict:
        async with places:
            return await _Question(endpoint, verifier, timeout, progress).ask()

    nodes = await asyncio.gather(*map(ask, endpoints))  # 1
    return compare(ClusterVerdict(at=at, cluster_id=cluster_id, nodes=tuple(nodes)), members)  # 5, 6


@dataclass(frozen=True, slots=True)
class _ClusterVerifier:
    """Accepts nodes that serve a cluster, by policies."""

    by_policy: PolicyVerifier
    cluster_id: bytes | None

    @property
    def variants(self) -> Collection[Variant]:
        """Whose evidence it can judge."""
        return self.by_policy.variants

    def judge(self, evidence: Evidence, *, binding: bytes, image: SignedManifest | None = None) -> Verdict:
        """Judge, with the mark that evidence of this variant can carry."""
        # Without a register for the mark, the binding of the statement is what holds the cluster ID.
        has_mark = self.cluster_id is not None and evidence.variant.mark_register is not None
        mark = self.cluster_id if has_mark and self.cluster_id is not None else Mark.ANY
        return replace(self.by_policy, mark=mark).judge(evidence, binding=binding, image=image)


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked of one node."""

    endpoint: Endpoint
    verifier: _ClusterVerifier
    timeout: float
    progress: Progress

    async def ask(self) -> NodeVerdict:
        """Ask, and take whatever happens for an answer."""
        start = time.monotonic()
        self.progress(self.endpoint, "connecting")
        try:
            async with asyncio.timeout(self.timeout):
                answer = await self._ask_again()
        except TimeoutError:
            answer = self._failed(f"no answer within {self.timeout:g} s", "is the node up, and the port open?")
        except PeerNotAcceptedError as error:
            answer = NodeVerdict(endpoint=self.endpoint, channel=error.verdict)
            if error.verdict is None:
                answer = self._failed(str(error), error.hint)
        except (ChannelError, AttestationError) as error:
            answer = self._failed(str(error), error.hint)
        except GRPCError as error:
            answer = self._failed(f"the node makes no statement: {error.message}", "the log of its service says more")
        except (StreamTerminatedError, ProtocolError, OSError) as error:
            answer = self._failed(f"the connection ended: {error}", "ask again")
        self.progress(self.endpoint, "accepted" if answer.accepted else "not accepted")
        return replace(answer, seconds=time.monotonic() - start)

    async def _ask_again(self) -> NodeVerdict:
        for _ in range(ATTEMPTS - 1):
            try:
                return await self._ask_once()
            except PeerUnavailableError as error:
                self.progress(self.endpoint, f"trying again: {error}")
            except GRPCError as error:
                if error.status not in _TRY_AGAIN:
                    raise
                self.progress(self.endpoint, f"trying again: {error.message}")
            await asyncio.sleep(PAUSE)
        return await self._ask_once()

    async def _ask_once(self) -> NodeVerdict:
        where = self.endpoint
        async with attested_channel(
            where.host, where.port, verifier=self.verifier, timeout=self.timeout
        ) as channel:  # 2
            self.progress(where, "attested")
            answer = NodeVerdict(endpoint=where, channel=channel.verdict)
            return answer if self.verifier.cluster_id is None else await self._state(answer, channel)

    async def _state(self, answer: NodeVerdict, channel: AttestedChannel) -> NodeVerdict:
        """Ask for a statement, and judge it."""
        nonce = new_nonce()
        binding = statement_binding(nonce, self.verifier.cluster_id or b"")
        said = await VerifyStub(channel).GetStatement(verify_pb2.GetStatementRequest(nonce=nonce))
        statement = await asyncio.to_thread(self._judge, said.evidence, binding)  # 3
        mismatches = self._compare(channel.verdict, statement, said.node)  # 4
        return replace(answer, statement=statement, node=said.node, nonce=nonce, mismatches=mismatches)

    def _judge(self, evidence: bytes, binding: bytes) -> Verdict:
        return self.verifier.judge(Evidence.from_json(evidence), binding=binding)

    def _compare(self, channel: Verdict, statement: Verdict, node: str) -> tuple[Mismatch, ...]:
        relayed = "the node passes on what another machine says"
        compared = (
            ("statement.variant", str(channel.evidence.variant), str(statement.evidence.variant), relayed),
            ("statement.identity", _hex(channel.identity), _hex(statement.identity), relayed),
            ("node", self.endpoint.name or node, node, "is it the address of another node?"),
        )
        return tuple(Mismatch(name, expected, got, hint) for name, expected, got, hint in compared if expected != got)

    def _failed(self, failure: str, hint: str) -> NodeVerdict:
        return NodeVerdict(endpoint=self.endpoint, failure=failure, hint=hint)


def _hex(identity: bytes | None) -> str:
    return identity.hex() if identity is not None else "none"
