# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation verify`: does every node of a cluster prove what it must?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from constellation_cli.acceptance import Images, Policies, choose_policies
from constellation_cli.arguments import ClusterId
from constellation_cli.chosen_cluster import KubeconfigOption, WorkspaceOption, choose_cluster
from constellation_cli.errors import CommandError, ExitStatus
from constellation_cli.output import Output, OutputFormat, Table, emit
from constellation_cli.terminal import say

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from attestation.policy import Policy
    from constellation_cli.chosen_cluster import ChosenCluster
    from constellation_engine.cluster.cluster_verdict import ClusterVerdict, Endpoint, NodeVerdict
    from constellation_engine.cluster.members import Member

DEFAULT_TIMEOUT: Final = 120  # seconds for each node: emulated TPMs share a host's processors
EXAMPLES: Final = (
    "constellation verify",
    "constellation verify --kubeconfig admin.conf --image ./node --cluster-id $ID",
    "constellation verify --endpoint worker-0=192.0.2.7:30081 --policy policy.yaml --cluster-id $ID -o json",
    "constellation verify --raw ./evidence",
)

_COLUMNS: Final = ("node", "address", "answer", "hardware root", "identity", "seconds")
_SHOWN_DIGITS: Final = 16


def verify_nodes(  # noqa: PLR0913, PLR0917 - one parameter an option
    policy: Policies = None,
    image: Images = None,
    cluster_id: ClusterId = None,
    endpoint: Annotated[
        list[str] | None,
        typer.Option("--endpoint", metavar="[NAME=]HOST[:PORT]", help="A node; repeat it for every one of them."),
    ] = None,
    workspace: WorkspaceOption = None,
    kubeconfig: KubeconfigOption = None,
    raw: Annotated[
        Path | None, typer.Option("--raw", metavar="FOLDER", help="Write the evidence of every node there as well.")
    ] = None,
    timeout: Annotated[
        int, typer.Option(min=1, metavar="SECONDS", help="Give each node so long, and the API server.")
    ] = DEFAULT_TIMEOUT,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Verify all nodes of a cluster: each proves what it booted, and that it belongs to this cluster.

    Nodes are those of the workspace, those that --endpoint names, or those that the API server knows (port 30081). Its
    list is compared in any case, except where --endpoint is given without --kubeconfig: a node that it knows and that
    was not reached is a reason to refuse. The API server itself is believed nothing else.

    What is acceptable and which cluster it is comes from the workspace, or from --policy or --image, and --cluster-id.
    Without a cluster ID nodes of any one cluster are accepted, and a warning says so.

    Which cluster: --workspace or --kubeconfig, $CONSTELLATION_WORKSPACE, $KUBECONFIG, the one of `constellation mini
    up`, ~/.kube/config.

    Exit status: 0 accepted, 2 not accepted, 1 nobody says which nodes there are, 64 wrong command line.
    """
    from constellation_cli.raw_evidence import write_raw_evidence

    cluster = choose_cluster(workspace, kubeconfig)
    policies = choose_policies(policy, image, cluster)
    expected = cluster_id or (cluster.workspace.state.cluster_id if cluster.workspace is not None else None) or None
    named = [_endpoint(text) for text in endpoint or ()]
    members = None if named and kubeconfig is None else _members(cluster, timeout)
    asked = named or _endpoints(cluster, members or ())
    verdict = _verify(asked, policies, expected, members, timeout)
    if raw is not None:
        files = write_raw_evidence(verdict, raw)
        say("written", f"evidence of {len(files)} nodes to {raw}")
    emit(output, verdict.to_mapping(), lambda: _tables(verdict))
    for warning in _warnings(verdict):
        say("warning", warning, colour="yellow")
    if not verdict.accepted:
        for hint in dict.fromkeys(filter(None, (_hint(node) for node in verdict.nodes))):
            say("hint", hint, colour="cyan")
        raise typer.Exit(ExitStatus.REFUSED)


def _endpoint(text: str) -> Endpoint:
    from constellation_core.errors import ConfigError
    from constellation_engine.cluster.cluster_verdict import Endpoint

    try:
        return Endpoint.parse(text)
    except ConfigError as error:
        raise typer.BadParameter(f"{error}; for example {error.hint}") from None


def _members(cluster: ChosenCluster, timeout: int) -> tuple[Member, ...]:
    """Ask the API server which nodes there are. Without its answer nobody knows whether all nodes were asked."""
    from constellation_cli.api_server import api_server
    from constellation_engine.cluster.members import read_members
    from constellation_engine.errors import ClusterError

    try:
        with api_server(cluster.kubeconfig, timeout) as server, server.answering() as client:
            return read_members(client)
    except (ClusterError, CommandError) as error:
        hint = "name every node: --endpoint NAME=HOST:PORT; then nobody asks the API server"
        raise CommandError(f"nobody says which nodes there are: {error}", hint=hint) from error


def _endpoints(cluster: ChosenCluster, members: Sequence[Member]) -> list[Endpoint]:
    """Say where nodes are. One that has no address is not asked, and the verdict refuses it as such."""
    if cluster.workspace is not None:
        from constellation_engine.local_cluster.machines import verification_endpoints

        return verification_endpoints(cluster.workspace)
    return [member.endpoint() for member in members if member.addresses]


def _verify(
    endpoints: Sequence[Endpoint],
    policies: Sequence[Policy],
    cluster_id: bytes | None,
    members: Sequence[Member] | None,
    timeout: int,
) -> ClusterVerdict:
    import asyncio
    from dataclasses import replace

    from constellation_engine.cluster.verify import verify_cluster

    verdict = asyncio.run(
        verify_cluster(
            endpoints,
            policies,
            cluster_id=cluster_id,
            members=members,
            timeout=timeout,
            progress=lambda endpoint, words: say(str(endpoint), words),
        )
    )
    if members is not None:
        return verdict
    unknown = "the API server was not asked: whether these are all nodes is not known"
    return replace(verdict, warnings=(*verdict.warnings, unknown))


def _tables(verdict: ClusterVerdict) -> Iterable[Table]:
    yield Table(verdict.summary, tuple(map(_row, verdict.nodes)), _COLUMNS)
    reasons = tuple(_reasons(verdict))
    if reasons:
        yield Table("reasons", reasons, ("node", "name", "expected", "got"))


def _row(node: NodeVerdict) -> tuple[str, ...]:
    verdict = node.verdict
    answer = "accepted" if node.accepted else "NOT ACCEPTED" if verdict is not None else "NO ANSWER"
    root = verdict.evidence.variant.hardware_root.value if verdict is not None else ""
    identity = verdict.identity.hex()[:_SHOWN_DIGITS] if verdict is not None and verdict.identity is not None else ""
    return node.name, node.endpoint.address, answer, root, identity, f"{node.seconds:.1f}"


def _reasons(verdict: ClusterVerdict) -> Iterable[tuple[str, ...]]:
    for node in verdict.nodes:
        if node.failure:
            yield str(node.endpoint), "answer", "one", node.failure
        for reason in node.reasons:
            yield node.name or str(node.endpoint), reason.name, reason.expected, reason.got
    for reason in verdict.mismatches:
        yield "all", reason.name, reason.expected, reason.got


def _warnings(verdict: ClusterVerdict) -> Iterable[str]:
    """Give each warning once, with the nodes that it is about."""
    about: dict[str, list[str]] = {}
    for node in verdict.nodes:
        if node.verdict is not None:
            for warning in node.verdict.warnings:
                about.setdefault(warning, []).append(node.name or str(node.endpoint))
    yield from verdict.warnings
    yield from (f"{warning} ({', '.join(names)})" for warning, names in about.items())


def _hint(node: NodeVerdict) -> str:
    return node.hint or next((reason.hint for reason in node.reasons if reason.hint), "")
