# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a workspace has to say: state, log, and what machines, QEMU and TPMs wrote.

Files are named one by one: what has no name here is never read. Disks, TPMs, config drives, firmware variables, the
master secret, the init secret and the kubeconfig have none.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import yaml

from constellation_core.errors import CoreError
from constellation_core.keys.secret import Secret
from constellation_engine.local_cluster.requirements import of_cluster
from constellation_engine.machines import machines
from constellation_engine.support.bundle import LONGEST_PART, Part

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from constellation_engine.local_cluster import Workspace
    from constellation_engine.machines import Machine

_NOT_SHOWN: Final = ("request_id", "measurement_salt")  # no secrets, and nobody's business
_CREDENTIALS: Final = ("client-key-data", "token", "password")


def known_secrets(workspace: Workspace) -> Iterator[Secret]:
    """Give the secrets of a workspace that are there, so that they are found in whatever is collected."""
    with suppress(CoreError):
        yield workspace.master_secret().secret
    with suppress(CoreError):
        yield workspace.init_secret()
    yield from _credentials(workspace.kubeconfig)


def workspace_parts(workspace: Workspace) -> Iterator[Part]:
    """Give everything of a workspace that helps and is no secret."""
    yield Part("workspace/cluster.json", lambda: _state(workspace))
    yield Part("workspace/log.jsonl", lambda: _tail(workspace.log))
    yield Part("workspace/host.json", lambda: _host(workspace))
    for machine in machines(workspace.machines):
        yield from _machine_parts(machine)


def _machine_parts(machine: Machine) -> Iterator[Part]:
    layout, folder = machine.layout, f"machines/{machine.name}"
    yield Part(f"{folder}/status.json", lambda: _status(machine))
    for path in (layout.spec, layout.console_log, layout.qemu_log, layout.tpm_log):
        yield Part(f"{folder}/{path.name}", lambda path=path: _tail(path))  # type: ignore[misc] # bound now


def _state(workspace: Workspace) -> str:
    record = workspace.state.to_record()
    return _json({name: value for name, value in record.items() if name not in _NOT_SHOWN})


def _host(workspace: Workspace) -> str:
    return _json([finding.to_mapping() for finding in of_cluster(workspace.state.spec, workspace.folder)])


def _status(machine: Machine) -> str:
    status = machine.status()
    return _json({"state": status.state.value, "process": status.process, "reason": status.reason})


def _tail(path: Path) -> str:
    """Read the end of a file, from the beginning of a line: half a secret would be found by nobody."""
    with path.open("rb") as file:
        start = max(0, file.seek(0, os.SEEK_END) - LONGEST_PART)
        file.seek(start)
        text = file.read(LONGEST_PART).decode("utf-8", "replace")
    return text.partition("\n")[2] if start else text


def _credentials(kubeconfig: Path) -> Iterator[Secret]:
    """Give what makes somebody an administrator."""
    try:
        record = yaml.safe_load(kubeconfig.read_bytes())
        users = [entry["user"] for entry in record["users"]]
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError):
        return  # then there are none
    for user in users:
        for name in _CREDENTIALS:
            if isinstance(user, dict) and isinstance(value := user.get(name), str) and value:
                yield Secret(value.encode())


def _json(record: Any) -> str:  # noqa: ANN401 - whatever JSON can hold
    return json.dumps(record, indent=2) + "\n"
