# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The configuration of containerd on a node means what we think, to containerd itself, and fits what others expect."""

from __future__ import annotations

import subprocess
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from constellation_engine.cluster.manifests.evidence import RUNTIME_CLASS
from constellation_engine.components import Origin, Store
from constellation_engine.container_images.control_plane import SANDBOX
from node_agent import container_store, evidence_runtime

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(900)  # containerd may have to be built first

SHIPPED = "images/node/mkosi.extra/etc/containerd/config.toml"


@pytest.fixture(scope="module")
def shipped(repository: Path) -> dict[str, Any]:
    """The file."""
    return tomllib.loads((repository / SHIPPED).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def understood(repository: Path) -> dict[str, Any]:
    """What containerd makes of it, with its defaults."""
    containerd = Store().fetch(["containerd"], only=Origin.BUILD)["containerd"]
    command = [str(containerd), "--config", str(repository / SHIPPED), "config", "dump"]
    return tomllib.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def settings_of(tree: dict[str, Any], path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Give every setting below a table, by its path."""
    found: dict[tuple[str, ...], Any] = {}
    for key, value in tree.items():
        found |= settings_of(value, (*path, key)) if isinstance(value, dict) else {(*path, key): value}
    return found


def test_containerd_knows_every_setting(shipped: dict[str, Any], understood: dict[str, Any]) -> None:
    assert settings_of(shipped).items() <= settings_of(understood).items()


def test_it_is_the_newest_format_so_that_containerd_changes_nothing(understood: dict[str, Any]) -> None:
    assert understood["version"] == 4


def test_only_the_socket_of_root_listens(understood: dict[str, Any]) -> None:
    listeners = {name: table.get("address") for name, table in understood["plugins"].items() if ".server.v1." in name}
    assert {name.rpartition(".")[2]: address for name, address in listeners.items() if address} == {
        "grpc": "/run/containerd/containerd.sock",
        "ttrpc": "/run/containerd/containerd.sock.ttrpc",
    }
    grpc = understood["plugins"]["io.containerd.server.v1.grpc"]
    assert (grpc["uid"], grpc["gid"]) == (0, 0)


def test_the_sandbox_is_in_every_store(understood: dict[str, Any]) -> None:
    assert understood["plugins"]["io.containerd.cri.v1.images"]["pinned_images"] == {"sandbox": SANDBOX}


def test_the_agent_fills_the_folder_and_writes_the_specification(understood: dict[str, Any]) -> None:
    runtimes = understood["plugins"]["io.containerd.cri.v1.runtime"]["containerd"]["runtimes"]
    assert understood["root"] == str(container_store.ROOT)
    assert runtimes[RUNTIME_CLASS]["base_runtime_spec"] == str(evidence_runtime.TARGET)
    assert {runtime["options"]["SystemdCgroup"] for runtime in runtimes.values()} == {True}
