# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The power is cut in the middle of init and join: the next boot begins anew, and the result is the same."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.node_agent.kubernetes.machines import Machine, Segment, skip_without_namespaces
from tests.node_agent.kubernetes.tickets import issue_ticket

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def segment() -> Iterator[Segment]:
    skip_without_namespaces()
    with Segment() as segment:
        yield segment


def init(machine: Machine) -> list[str]:
    return machine.agent("init", "v1.36.4", machine.name, machine.mesh_address, machine.address)


def join(machine: Machine, role: str) -> list[str]:
    return machine.agent("join", machine.name, role, machine.mesh_address, str(machine.ticket))


def tear(disk: Path) -> None:
    """Empty what kubeadm wrote last, as a file system without the last seconds does."""
    for name in ("etc/kubernetes/pki/ca.key", "etc/kubernetes/kubelet.conf", "etc/kubernetes/manifests/etcd.yaml"):
        if (disk / name).exists():
            (disk / name).write_bytes(b"")


def is_finished(machine: Machine) -> bool:
    text = (machine.disk / "etc/kubernetes/constellation/setup.json").read_text(encoding="utf-8")
    return bool(json.loads(text)["kind"] == "finished")


@pytest.mark.parametrize("phase", ["certs", "wait-control-plane", "bootstrap-token", "objects"])
def test_init_begins_anew(segment: Segment, tmp_path: Path, phase: str) -> None:
    with Machine("control-plane-0", 1, tmp_path, segment) as machine:
        machine.cut_power_at(phase, *init(machine))
    assert not is_finished(machine)
    tear(machine.disk)
    with Machine("control-plane-0", 1, tmp_path, segment) as machine:
        machine.run(*machine.agent("start"))
        assert is_finished(machine)
        assert "control-plane-0" in machine.kubectl("get", "nodeidentities,nodes")


def test_a_control_plane_that_was_a_member_already_joins_again(segment: Segment, tmp_path: Path) -> None:
    with Machine("control-plane-0", 1, tmp_path / "a", segment) as first:
        first.run(*init(first))
        with Machine("control-plane-1", 2, tmp_path / "b", segment) as second:
            issue_ticket(first, second, "control-plane")
            second.cut_power_at("mark-control-plane", *join(second, "control-plane"))
        with Machine("control-plane-1", 2, tmp_path / "b", segment) as second:
            second.run(*second.agent("start"))
            assert is_finished(second)
            assert "control-plane-1" in second.kubectl("get", "nodes")


@pytest.mark.parametrize("line", ["resumable", "preflight"])
def test_a_worker_joins_again(segment: Segment, tmp_path: Path, line: str) -> None:
    with Machine("control-plane-0", 1, tmp_path / "a", segment) as first:
        first.run(*init(first))
        with Machine("worker-0", 2, tmp_path / "b", segment) as worker:
            issue_ticket(first, worker, "worker")
            worker.cut_power_at(line, *join(worker, "worker"))
        tear(worker.disk)
        with Machine("worker-0", 2, tmp_path / "b", segment) as worker:
            worker.run(*worker.agent("start"))
            assert is_finished(worker)
            assert "worker-0" in first.kubectl("get", "nodes")


def test_a_finished_node_only_starts(segment: Segment, tmp_path: Path) -> None:
    with Machine("control-plane-0", 1, tmp_path, segment) as machine:
        machine.run(*init(machine))
        before = (machine.disk / "etc/kubernetes/pki/ca.crt").read_bytes()
    with Machine("control-plane-0", 1, tmp_path, segment) as machine:
        machine.run(*machine.agent("start"))
        assert (machine.disk / "etc/kubernetes/pki/ca.crt").read_bytes() == before
        assert machine.run("cat", "/run/started").split() == ["seeded", "containerd"]


def test_what_failed_is_tried_again_by_the_next_boot_alone(segment: Segment, tmp_path: Path) -> None:
    with Machine("control-plane-0", 1, tmp_path, segment) as machine:
        machine.run("rm", "/usr/bin/kubeadm")
        assert "cannot run /usr/bin/kubeadm" in machine.complaint(*init(machine))
        assert "the next boot begins anew" in machine.complaint(*machine.agent("start"))
    with Machine("control-plane-0", 1, tmp_path, segment) as machine:
        machine.run(*machine.agent("start"))
        assert is_finished(machine)
