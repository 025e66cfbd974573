# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation doctor`: can this machine have a cluster of its own?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from constellation_cli.errors import ExitStatus
from constellation_cli.mini.words import ControlPlanes, Cpus, Memory, Workers, Workspace, workspace_folder
from constellation_cli.output import Output, OutputFormat, Table, emit

if TYPE_CHECKING:
    from constellation_engine.local_cluster.requirements import Finding

VERSION: Final = 1
EXAMPLES: Final = (
    "constellation doctor",
    "constellation doctor --workers 3 --memory 4096",
    "constellation doctor -o json | jq -r '.findings[] | select(.good | not) | .fix'",
)


def diagnose(
    workspace: Workspace = None,
    image: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Node image; default: the one of `constellation image build`.")
    ] = None,
    control_planes: ControlPlanes = 1,
    workers: Workers = 1,
    cpus: Cpus = 2,
    memory: Memory = 3072,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Look at everything that `constellation mini up` needs, and say what to do where something is missing.

    A guest is started to see whether KVM works: that its device file opens says nothing. Nothing is changed.

    Exit status: 0 a cluster can be brought up, 1 something is missing.
    """
    from constellation_cli.progress import waiting_for
    from constellation_cli.terminal import say
    from constellation_engine.local_cluster import ClusterSpec
    from constellation_engine.local_cluster.requirements import of_machine, usual_image

    spec = ClusterSpec(
        image=image or usual_image(), control_planes=control_planes, workers=workers, cpus=cpus, memory=memory
    )
    with waiting_for("a guest under KVM"):
        findings = of_machine(spec, workspace_folder(workspace), lambda text: say("doctor", text))
    is_ready = all(finding.good for finding in findings if finding.needed)
    record = {"version": VERSION, "ready": is_ready, "findings": [finding.to_mapping() for finding in findings]}
    emit(output, record, lambda: [Table("", tuple(map(_row, findings)), ("", "what", "found", "what to do"))])
    if not is_ready:
        raise typer.Exit(ExitStatus.FAILED)


def _row(finding: Finding) -> tuple[str, ...]:
    return _mark(finding), finding.name, finding.found, finding.fix


def _mark(finding: Finding) -> str:
    if finding.good:
        return "✓"
    return "✗" if finding.needed else "!"
