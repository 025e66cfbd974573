# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation recover`: bring back a cluster whose control planes all stopped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from constellation_cli.acceptance import Images, Policies, choose_policies
from constellation_cli.chosen_cluster import WorkspaceOption, choose_cluster
from constellation_cli.errors import ExitStatus, UsageError
from constellation_cli.output import Output, OutputFormat, Table, emit
from constellation_cli.terminal import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from constellation_cli.chosen_cluster import ChosenCluster
    from constellation_core.keys.secret import Secret
    from constellation_engine.cluster.cluster_verdict import Endpoint
    from constellation_engine.cluster.recovery import RecoveryOrder
    from constellation_engine.cluster.recovery_outcome import NodeRecovery, Recovery

VERSION: Final = 1
DEFAULT_TIMEOUT: Final = 600.0  # seconds for all of it
EXAMPLES: Final = (
    "constellation recover",
    "constellation recover --endpoint control-plane-0=192.0.2.7 --master-secret master-secret.json --image ./node",
)

_COLUMNS: Final = ("node", "address", "outcome", "reason")


def recover_cluster(  # noqa: PLR0913, PLR0917 - one parameter an option
    endpoint: Annotated[
        list[str] | None,
        typer.Option("--endpoint", metavar="[NAME=]HOST[:PORT]", help="A stopped control plane; may be repeated."),
    ] = None,
    workspace: WorkspaceOption = None,
    master_secret: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The master secret; default: the one of the workspace.")
    ] = None,
    recovery_secret: Annotated[
        Path | None, typer.Option(metavar="FILE", help="For nodes whose metadata demands one.")
    ] = None,
    policy: Policies = None,
    image: Images = None,
    save_kubeconfig: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to write the kubeconfig; default: the workspace.")
    ] = None,
    timeout: Annotated[float, typer.Option(min=1, metavar="SECONDS", help="Give up after this time.")] = (
        DEFAULT_TIMEOUT
    ),
    output: Output = OutputFormat.TABLE,
) -> None:
    """Give stopped control planes the secret that opens their disks, after each proved what it booted.

    Needed when no control plane is left that could let the others back in: then each waits on port 9999. Those of the
    workspace that are switched on are asked until a quorum is back, the others rejoin by themselves; those that
    --endpoint names are all waited for. Whoever does not listen yet is asked again.

    A node that does not know the secret says so, changes nothing, and waits on. Repeating the command is safe.

    Exit status: 0 enough are back, 2 a node refused or is not accepted, 1 no answer in time, 64 wrong command line.
    """
    cluster = choose_cluster(workspace, None)
    named = [_endpoint(text) for text in endpoint or ()]
    order = _order(cluster, policy, image, master_secret, recovery_secret)
    recovery = _recover(cluster, named, order, timeout)
    _keep(cluster, recovery, order, save_kubeconfig)
    nodes = [node.to_mapping() for node in recovery.nodes]
    record = {"version": VERSION, "complete": recovery.is_complete, "wanted": recovery.wanted, "nodes": nodes}
    emit(output, record, lambda: [Table("", tuple(map(_row, recovery.nodes)), _COLUMNS)])
    _end(recovery)


def _endpoint(text: str) -> Endpoint:
    from constellation_core.errors import ConfigError
    from constellation_core.names import RECOVERY_PORT
    from constellation_engine.cluster.cluster_verdict import Endpoint

    try:
        return Endpoint.parse(text, usual_port=RECOVERY_PORT)
    except ConfigError as error:
        raise typer.BadParameter(f"{error}; for example {error.hint}") from None


def _order(
    cluster: ChosenCluster,
    policies: list[Path] | None,
    images: list[Path] | None,
    master_secret: Path | None,
    recovery_secret: Path | None,
) -> RecoveryOrder:
    """Read what nodes are judged by, and what they get."""
    from constellation_core.keys.key_material import KeyMaterial
    from constellation_core.keys.master_secret import MasterSecret
    from constellation_engine.cluster.recovery import RecoveryOrder
    from constellation_engine.local_cluster.recovery import order_of

    accepted = choose_policies(policies, images, cluster)
    master = MasterSecret.load(master_secret) if master_secret is not None else None
    demanded = _secret(recovery_secret)
    if cluster.workspace is not None:
        return order_of(cluster.workspace, accepted, master=master, recovery_secret=demanded)
    if master is None:
        raise UsageError("there is no workspace with a master secret", hint="name its file: --master-secret FILE")
    return RecoveryOrder(policies=accepted, key_material=KeyMaterial.of(master), recovery_secret=demanded)


def _secret(file: Path | None) -> Secret | None:
    from constellation_core.keys.secret_file import read_secret_file

    return read_secret_file(file) if file is not None else None


def _recover(cluster: ChosenCluster, named: Sequence[Endpoint], order: RecoveryOrder, timeout: float) -> Recovery:
    import asyncio

    from constellation_engine.cluster.recovery import recover_nodes
    from constellation_engine.local_cluster.recovery import quorum, stopped_control_planes

    if named:
        endpoints, wanted = tuple(named), len(named)
    elif cluster.workspace is not None:
        endpoints, wanted = stopped_control_planes(cluster.workspace), quorum(cluster.workspace)
    else:
        raise UsageError("nothing says where the control planes are", hint="name each: --endpoint HOST:PORT")
    asking = recover_nodes(
        endpoints, order, wanted=wanted, timeout=timeout, progress=lambda node, words: say(str(node), words)
    )
    return asyncio.run(asking)


def _keep(cluster: ChosenCluster, recovery: Recovery, order: RecoveryOrder, file: Path | None) -> None:
    """Write the kubeconfig where it was asked for, or into the workspace."""
    from constellation_engine.local_cluster.recovery import keep
    from constellation_engine.local_cluster.workspace import write_private

    if file is not None and recovery.kubeconfig:
        write_private(file, recovery.kubeconfig)
        say("written", f"kubeconfig to {file}")
    elif cluster.workspace is not None and keep(cluster.workspace, recovery, order.cluster_id or b""):
        say("written", f"kubeconfig to {cluster.workspace.kubeconfig}")


def _row(node: NodeRecovery) -> tuple[str, ...]:
    return node.endpoint.name, node.endpoint.address, node.outcome.value, node.reason


def _end(recovery: Recovery) -> None:
    """Say what to do next, and end with the status that says how it went."""
    from constellation_cli.terminal import report
    from constellation_engine.cluster.recovery_outcome import Outcome
    from constellation_engine.errors import RecoveryError

    try:
        recovery.require()
    except RecoveryError as error:
        report(error)
        refused = any(node.outcome in {Outcome.REFUSED, Outcome.NOT_ACCEPTED} for node in recovery.nodes)
        raise typer.Exit(ExitStatus.REFUSED if refused else ExitStatus.FAILED) from None
    say("next", "constellation status --watch")
