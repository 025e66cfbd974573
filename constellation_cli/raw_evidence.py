# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What nodes of a cluster signed, in files that `constellation evidence verify` reads again.

NODE.evidence.json    evidence of the node's statement, as `constellation evidence collect` writes it
nodes.json            {"version": 1, "at": …, "cluster_id": …, "nodes": [{"node", "file", "bound_to", "nonce"}]}

Evidence of a statement is bound to nonce and cluster ID: whoever has both files can judge it again. Where no cluster ID
was given there are no statements; evidence of the channel is bound to a TLS connection that nobody else has seen.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from constellation_cli.errors import CommandError

if TYPE_CHECKING:
    from pathlib import Path

    from constellation_engine.cluster.cluster_verdict import ClusterVerdict, NodeVerdict

VERSION: Final = 1
INDEX: Final = "nodes.json"

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")  # nodes say their names themselves


def write_raw_evidence(verdict: ClusterVerdict, folder: Path) -> tuple[str, ...]:
    """Write the evidence of all nodes that showed some.

    Args:
        verdict: about them.
        folder: made if it is missing.

    Returns:
        Names of the files with evidence.

    Raises:
        CommandError: they cannot be written.
    """
    entries = [_entry(index, node) for index, node in enumerate(verdict.nodes) if node.verdict is not None]
    record = {
        "version": VERSION,
        "at": verdict.at.isoformat(),
        "cluster_id": verdict.cluster_id.hex() if verdict.cluster_id is not None else None,
        "nodes": entries,
    }
    shown = [node.verdict.evidence for node in verdict.nodes if node.verdict is not None]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for entry, evidence in zip(entries, shown, strict=True):
            (folder / entry["file"]).write_bytes(evidence.to_json())
        (folder / INDEX).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{folder} cannot be written: {error.strerror}", hint="name a folder of yours") from None
    return tuple(entry["file"] for entry in entries)


def _entry(index: int, node: NodeVerdict) -> dict[str, Any]:
    name = node.name if _NAME.fullmatch(node.name) else f"node-{index}"
    return {
        "node": node.name or None,
        "file": f"{name}.evidence.json",
        "bound_to": "statement" if node.statement is not None else "channel",
        "nonce": node.nonce.hex() or None,
    }
