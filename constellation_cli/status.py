# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation status`: how is the cluster?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from constellation_cli.api_server import DEFAULT_TIMEOUT, Timeout
from constellation_cli.chosen_cluster import KubeconfigOption, WorkspaceOption, choose_cluster
from constellation_cli.errors import ExitStatus
from constellation_cli.output import Output, OutputFormat, emit

if TYPE_CHECKING:
    from constellation_cli.status_record import Look

EXAMPLES: Final = (
    "constellation status",
    "constellation status --watch",
    "constellation status -o json | jq -r '.conditions[] | select(.ok | not) | .missing'",
)


def show_status(
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Look again and again, until Ctrl-C.")] = False,
    watch_for: Annotated[
        float | None, typer.Option("--for", min=0, metavar="SECONDS", help="Watch no longer than this.")
    ] = None,
    workspace: WorkspaceOption = None,
    kubeconfig: KubeconfigOption = None,
    timeout: Timeout = DEFAULT_TIMEOUT,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Show how a cluster is: nodes, services, who may join, who waits and who was refused, and what is missing.

    All of it is the API server's word, and the workspace's where there is one; what nodes booted is another question,
    which `constellation verify` asks the nodes themselves.

    With --watch a terminal is drawn anew every two seconds; elsewhere a line, or a record, is written when something
    changed.

    Which cluster: --workspace or --kubeconfig, $CONSTELLATION_WORKSPACE, $KUBECONFIG, the one of `constellation mini
    up`, ~/.kube/config.

    Exit status: 0 every condition holds, 1 something is missing.
    """
    from constellation_cli.status_record import look
    from constellation_cli.status_tables import tables
    from constellation_cli.watching import watch_until_interrupted

    cluster = choose_cluster(workspace, kubeconfig)

    def once() -> Look:
        return look(cluster, timeout)

    if watch or watch_for is not None:
        last = watch_until_interrupted(once, output, watch_for)
    else:
        last = once()
        emit(output, last.record, lambda: tables(last))
    if not last.holds:
        raise typer.Exit(ExitStatus.FAILED)
