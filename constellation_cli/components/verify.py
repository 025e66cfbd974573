# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation components verify`: are these still the pinned programs?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import typer

from constellation_cli.components.words import VERSION, CacheFolder, Kubernetes, Names
from constellation_cli.errors import ExitStatus
from constellation_cli.output import Output, OutputFormat, Table, emit
from constellation_cli.terminal import say

if TYPE_CHECKING:
    from constellation_engine.components import Check

EXAMPLES: Final = (
    "constellation components verify",
    "constellation components verify kubelet kubeadm --kubernetes 1.35",
)


def verify_components(
    names: Names = None,
    kubernetes: Kubernetes = None,
    cache: CacheFolder = None,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Compare programs in the cache with their pinned hashes.

    Exit status 2 if one differs, or if one that is named here is absent.
    """
    from constellation_cli.progress import waiting_for
    from constellation_engine.components import State, Store

    with waiting_for("the hashes of all programs"):
        checks = Store(cache).check(names or (), kubernetes=kubernetes or "")
    records = [_describe(check) for check in checks]
    columns = ("component", "version", "state", "path")
    rows = tuple(tuple(entry[column] for column in ("name", *columns[1:])) for entry in records)
    emit(output, {"version": VERSION, "components": records}, lambda: [Table("", rows, columns)])
    wrong = {State.DAMAGED, State.ABSENT} if names else {State.DAMAGED}
    if any(check.state in wrong for check in checks):
        for check in checks:
            if check.state is State.DAMAGED:
                say("differs", f"{check.path}: expected sha256 {check.expected}, got {check.got}", colour="red")
        say("hint", "run: constellation components fetch, which replaces what differs", colour="cyan")
        raise typer.Exit(ExitStatus.REFUSED)


def _describe(check: Check) -> dict[str, Any]:
    return {
        "name": check.component.name,
        "version": check.component.version,
        "state": check.state.value,
        "path": str(check.path or ""),
        "expected": check.expected,
        "got": check.got,
    }
