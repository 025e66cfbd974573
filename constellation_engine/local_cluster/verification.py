# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What is needed to verify the cluster of a workspace: its machines, its API server's list, its image, its ID."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attestation.verdict import Mismatch
from constellation_engine.cluster.question import Question, known_members
from constellation_engine.cluster.verify import verify_cluster
from constellation_engine.errors import BringUpError, MachineError
from constellation_engine.local_cluster.machines import accepted_policies, verification_endpoints
from constellation_engine.local_cluster.way_to_api import keep_way_to_api

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from attestation.policy import Policy
    from constellation_engine.cluster.cluster_verdict import Endpoint
    from constellation_engine.cluster.members import Member
    from constellation_engine.local_cluster.workspace import Workspace

_PATIENCE: Final = 120.0  # seconds for each node: emulated TPMs share a host's cores


def question_of(workspace: Workspace, policies: Sequence[Policy] = (), *, cluster_id: bytes | None = None) -> Question:
    """Gather it. Machines that are not there, and an API server that does not answer, are gaps.

    Args:
        workspace: of the cluster.
        policies: what is acceptable; none for the images that its machines boot.
        cluster_id: 32 bytes; None for that of the workspace.

    Raises:
        NodeImageError: the image cannot be read.
        NotGenuineError: its signature does not hold.
    """
    endpoints, lost = _endpoints(workspace)
    members, silent = _members(workspace)
    own = workspace.state.cluster_id or None
    unmarked = () if cluster_id or own else (Mismatch("cluster_id", "a cluster that was initialised", "none"),)
    return Question(
        endpoints=endpoints,
        policies=policies or accepted_policies(workspace),
        cluster_id=cluster_id or own,
        members=members,
        gaps=(*unmarked, *lost, *silent),
    )


async def who_is_silent(
    workspace: Workspace, endpoints: Sequence[Endpoint], report: Callable[[str], None]
) -> str | None:
    """Have nodes prove that they booted the image which they shall. Who does not answer may be asked again.

    The way to a pod is there a moment after the pod is.

    Returns:
        Who did not answer, for people; None if all proved it.

    Raises:
        ClusterNotAcceptedError: one proved something else.
    """
    verdict = await verify_cluster(
        endpoints,
        [workspace.image().policy()],
        cluster_id=workspace.state.cluster_id,
        timeout=_PATIENCE,
        progress=lambda endpoint, words: report(f"{endpoint}: {words}"),
    )
    if silent := [f"{node.name} ({node.failure})" for node in verdict.nodes if node.failure]:
        return f"waiting for evidence: {', '.join(silent)}"
    verdict.require()
    return None


def _endpoints(workspace: Workspace) -> tuple[list[Endpoint], tuple[Mismatch, ...]]:
    try:
        return verification_endpoints(workspace), ()
    except MachineError as error:
        return [], (Mismatch("machines", "all machines of the cluster", str(error), error.hint),)


def _members(workspace: Workspace) -> tuple[tuple[Member, ...] | None, tuple[Mismatch, ...]]:
    if not workspace.kubeconfig.exists():
        return None, (Mismatch("members", "the list of nodes from the API server", "no kubeconfig yet"),)
    try:
        keep_way_to_api(workspace)
    except BringUpError as error:
        return None, (Mismatch("members", "a kubeconfig", str(error), error.hint),)
    return known_members(workspace.kubeconfig)
