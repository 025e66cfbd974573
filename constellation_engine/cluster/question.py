# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What is needed to verify a cluster, gathered from whoever knows it; what nobody says is a reason to refuse.

    question = question_of_api(kubeconfig, policies, cluster_id=cluster_id)
    verdict = await question.ask()

`constellation_engine.local_cluster.verification` does the same for a workspace.
"""

# ruff: noqa: ASYNC109 - how long a node may take is part of the question

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from attestation.verdict import Mismatch
from constellation_core.errors import CoreError
from constellation_engine.cluster.client import api_client
from constellation_engine.cluster.members import read_members
from constellation_engine.cluster.verify import DEFAULT_TIMEOUT, verify_cluster
from constellation_engine.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from attestation.policy import Policy
    from constellation_engine.cluster.cluster_verdict import ClusterVerdict, Endpoint
    from constellation_engine.cluster.members import Member
    from constellation_engine.cluster.verify import Progress

NOT_ASKED: Final = "the API server was not asked: whether these are all nodes is not known"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What nodes are asked, and what is known of them.

    Attributes:
        endpoints: where they are.
        policies: what is acceptable, one of several.
        cluster_id: 32 bytes, of the cluster that they must belong to; None for any one.
        members: what the API server says that there is; None where it was not asked.
        gaps: what nobody said that should be known.
    """

    endpoints: Sequence[Endpoint]
    policies: Sequence[Policy]
    cluster_id: bytes | None = None
    members: Sequence[Member] | None = None
    gaps: tuple[Mismatch, ...] = ()

    async def ask(
        self, *, timeout: float = DEFAULT_TIMEOUT, progress: Progress = lambda _endpoint, _words: None
    ) -> ClusterVerdict:
        """Ask all nodes; gaps are reasons to refuse, and a list that nobody gave is a warning.

        Args:
            timeout: seconds that each node may take.
            progress: told what happens to each node, in a few words.

        Raises:
            ConfigError: there is no policy.
        """
        verdict = await verify_cluster(
            self.endpoints,
            self.policies,
            cluster_id=self.cluster_id,
            members=self.members,
            timeout=timeout,
            progress=progress,
        )
        unknown = (NOT_ASKED,) if self.members is None and not self.gaps else ()
        return replace(verdict, mismatches=(*self.gaps, *verdict.mismatches), warnings=(*verdict.warnings, *unknown))


def question_of_api(kubeconfig: Path, policies: Sequence[Policy], *, cluster_id: bytes | None = None) -> Question:
    """Ask the API server which nodes there are. That it does not answer is a gap."""
    members, gaps = known_members(kubeconfig)
    endpoints = [member.endpoint() for member in members or () if member.addresses]
    return Question(endpoints=endpoints, policies=policies, cluster_id=cluster_id, members=members, gaps=gaps)


def known_members(kubeconfig: Path) -> tuple[tuple[Member, ...] | None, tuple[Mismatch, ...]]:
    """Give the members that the API server knows, or None and the gap that this is."""
    try:
        with api_client(kubeconfig) as client:
            return read_members(client), ()
    except (ClusterError, CoreError) as error:
        return None, (Mismatch("members", "the list of nodes from the API server", str(error), error.hint),)
