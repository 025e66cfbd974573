# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation support`: everything that whoever helps asks for, and no secret."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from constellation_cli.api_server import DEFAULT_TIMEOUT, Timeout
from constellation_cli.chosen_cluster import KubeconfigOption, WorkspaceOption, choose_cluster
from constellation_cli.terminal import say

if TYPE_CHECKING:
    from constellation_cli.chosen_cluster import ChosenCluster
    from constellation_engine.support import Bundle, Part

EXAMPLES: Final = (
    "constellation support",
    "constellation support --kubeconfig admin.conf -o support.tar.gz",
    "tar -tf $(constellation support)",
)


def collect_support(
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Where to write; default: a name with the time, here."),
    ] = None,
    workspace: WorkspaceOption = None,
    kubeconfig: KubeconfigOption = None,
    timeout: Timeout = DEFAULT_TIMEOUT,
) -> None:
    """Collect what happened into one file, and print its name: a compressed archive that only you can read.

    From a workspace: its state and log, consoles of its machines, what QEMU and TPMs wrote. From the cluster: nodes,
    pods, events, join-config, who joined and who asks, logs of our services and of Kubernetes' own. Secrets are not
    collected; keys, tokens and passwords that stand where nobody expects them are taken out. Look at it all the same
    before you give it to others: names and addresses are in it.

    What cannot be collected is said, and stands in problems.txt.

    Which cluster: --workspace or --kubeconfig, $CONSTELLATION_WORKSPACE, $KUBECONFIG, the one of `constellation mini
    up`, ~/.kube/config.
    """
    from constellation_engine.support import Bundle, Redactor, known_secrets, workspace_parts

    cluster = choose_cluster(workspace, kubeconfig)
    redactor = Redactor(known_secrets(cluster.workspace) if cluster.workspace is not None else ())
    path = output or _usual_name()
    with Bundle.create(path, redactor) as bundle:
        bundle.add(_versions())
        if cluster.workspace is not None:
            for part in workspace_parts(cluster.workspace):
                bundle.add(part)
        _add_cluster(bundle, cluster, timeout)
    for problem in bundle.problems:
        say("missing", problem, colour="yellow")
    sys.stdout.write(f"{path}\n")
    sys.stdout.flush()


def _add_cluster(bundle: Bundle, cluster: ChosenCluster, timeout: int) -> None:
    """Ask the API server for everything, once it has answered the first question."""
    from constellation_cli.api_server import api_server
    from constellation_cli.errors import CommandError
    from constellation_engine.errors import ClusterError
    from constellation_engine.support import cluster_parts, read_pods

    try:
        with api_server(cluster.kubeconfig, timeout) as server:
            with server.answering() as client:
                pods = read_pods(client)
            for part in cluster_parts(server.client, pods):
                bundle.add(part, server.answering)
    except (ClusterError, CommandError) as error:
        bundle.note("kubernetes", error)


def _versions() -> Part:
    import json
    import platform

    from constellation_cli import __version__
    from constellation_engine.support import Part

    record = {"constellation": __version__, "python": platform.python_version(), "system": platform.platform()}
    return Part("versions.json", lambda: json.dumps(record, indent=2) + "\n")


def _usual_name() -> Path:
    from datetime import UTC, datetime

    return Path(f"constellation-support-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.tar.gz")
