# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation join-config history`: which versions were accepted last?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from constellation_cli.api_server import DEFAULT_TIMEOUT, Kubeconfig, Timeout
from constellation_cli.join_config.description import SHOWN_DIGITS, VERSION, describe, summarise
from constellation_cli.output import Output, OutputFormat, Table, emit
from constellation_cli.times import show_time

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from lightkube import Client

EXAMPLES: Final = (
    "constellation join-config history",
    "constellation join-config history -o json | jq '.revisions[] | select(.current)'",
)

_COLUMNS: Final = ("revision", "written", "sha256", "holds", "accepts")
_KEY_PREFIX: Final = "f:"  # of a name, in the records of who wrote which field


def show_history(
    kubeconfig: Kubeconfig = None,
    timeout: Timeout = DEFAULT_TIMEOUT,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Show the last versions of join-config that were accepted, oldest first: five at most.

    The time is that of the last write of each program that wrote history: of the newest revision it is always known.
    The digest begins as in the events of the join service. `join-config show --revision` prints a version.
    """
    from constellation_cli.api_server import api_server
    from constellation_engine.cluster.join_config import history, stored

    with api_server(kubeconfig, timeout) as server, server.answering() as client:
        revisions = history(client)
        current = stored(client).text
        times = _times(client, [one.number for one in revisions]) if revisions else {}
    newest = max((one.number for one in revisions if one.text == current), default=None)
    records = [
        {
            "number": one.number,
            "written": times.get(one.number),
            "current": one.number == newest,
            **describe(one.text),
        }
        for one in revisions
    ]
    emit(output, {"version": VERSION, "revisions": records}, lambda: [Table("", tuple(_rows(records)), _COLUMNS)])


def _rows(records: Iterable[dict[str, Any]]) -> Iterable[tuple[str, ...]]:
    for record in records:
        yield (
            str(record["number"]),
            record["written"] or "unknown",
            record["sha256"][:SHOWN_DIGITS],
            "now" if record["current"] else "",
            summarise(record),
        )


def _times(client: Client, numbers: Collection[int]) -> dict[int, str | None]:
    """Say when revisions were written, as far as the API server knows.

    It notes of each writer when it wrote last, and which keys are its own: then it wrote the newest one of them.
    """
    from lightkube.resources.core_v1 import ConfigMap

    from constellation_core.cluster_history import OBJECT_NAME
    from constellation_core.names import NAMESPACE
    from constellation_engine.cluster.api import asking

    with asking(f"read ConfigMap {OBJECT_NAME}"):
        metadata = client.get(ConfigMap, OBJECT_NAME, namespace=NAMESPACE).metadata
    times = {}
    for note in (metadata.managedFields if metadata is not None else None) or ():
        keys = (note.fieldsV1 or {}).get("f:data", {})
        if written := [number for number in numbers if f"{_KEY_PREFIX}{number}" in keys]:
            times[max(written)] = show_time(note.time)
    return times
