# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Power that goes: who comes back by itself, who waits for the administrator, and whose disk stays closed."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from ipaddress import IPv4Interface
from typing import TYPE_CHECKING

import pytest

from constellation_core.keys.master_secret import MasterSecret
from constellation_engine.machines import Machine

if TYPE_CHECKING:
    from pathlib import Path

    from tests.mini.cluster import Cluster

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]

NODES = ["control-plane-0", "worker-0"]


def boot_of(cluster: Cluster, node: str) -> str:
    """Give the id of the boot that a node's kubelet runs in."""
    return str(cluster.get("node", node)["status"]["nodeInfo"]["bootID"])


def test_a_worker_rejoins_by_itself_with_its_disk(cluster: Cluster) -> None:
    identity, before = cluster.get("nodeidentity", "worker-0")["spec"], boot_of(cluster, "worker-0")
    cluster.machine("worker-0").reset()
    cluster.wait("another boot", lambda: None if boot_of(cluster, "worker-0") != before else "the same", seconds=900)
    cluster.wait_ready(*NODES)
    cluster.wait_running()
    after = cluster.get("nodeidentity", "worker-0")["spec"]
    assert (after["disk"], after["identity"]) == (identity["disk"], identity["identity"])


def test_the_disk_of_a_worker_stays_closed_in_another_machine(cluster: Cluster, tmp_path: Path) -> None:
    like = cluster.machine("worker-0").spec
    spec = replace(like, forwards=(), addresses=(IPv4Interface("192.168.77.210/24"),), memory=1536)
    thief = Machine.create(tmp_path / "thief", spec)
    disk = cluster.machine("worker-0").layout.state_disk
    subprocess.run(["cp", "--sparse=always", disk, thief.layout.state_disk], check=True)
    try:
        thief.start()
        cluster.wait(
            "its refusal", lambda: None if "refuses" in thief.console_log() else thief.console_log()[-200:], seconds=900
        )
    finally:
        thief.destroy()
    assert sorted(cluster.ready()) == NODES


def test_a_control_plane_waits_for_the_secret_and_for_no_other(cluster: Cluster, tmp_path: Path) -> None:
    cluster.kubectl("create", "configmap", "kept", "--from-literal=words=still here")
    before = boot_of(cluster, "control-plane-0")
    cluster.machine("control-plane-0").reset()
    wrong = tmp_path / "wrong.json"
    MasterSecret.random().create(wrong)
    refused = cluster.run("recover", "--master-secret", str(wrong), "--timeout", "600", "-o", "json", code=2)
    assert "refused" in refused.stdout
    cluster.run("recover", "--timeout", "600")
    cluster.wait("another boot", lambda: None if boot_of(cluster, NODES[0]) != before else "the same", seconds=900)
    cluster.wait_ready(*NODES, seconds=900)
    cluster.wait_running()
    assert cluster.get("configmap", "kept")["data"] == {"words": "still here"}
    cluster.up()  # there is nothing to do but to verify
    cluster.kubectl("delete", "configmap", "kept")
