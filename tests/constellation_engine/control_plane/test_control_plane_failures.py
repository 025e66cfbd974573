# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What is left of a control plane when its programs stop, do not start, or lose who started them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from httpx2 import Timeout, TimeoutException
from lightkube import Client, KubeConfig
from lightkube.resources.core_v1 import Namespace

from constellation_core.conditions import Condition, wait_for
from constellation_engine.components import Store
from constellation_engine.errors import ControlPlaneError
from constellation_engine.testing.control_plane import ControlPlane, running_control_plane

if TYPE_CHECKING:
    from collections.abc import Iterator

PARENT = """
import os, sys
from pathlib import Path
from constellation_engine.testing.control_plane import running_control_plane

with running_control_plane(Path(sys.argv[1])) as control_plane:
    print(*control_plane.process_ids, flush=True)
    sys.stdin.read()
"""


def is_running(process_id: int) -> bool:
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def ended(process_id: int) -> Condition:
    return Condition(f"process {process_id} has ended", lambda: "it runs" if is_running(process_id) else None)


def programs(**others: Path) -> dict[str, Path]:
    return {name: others.get(name) or Store().path(name) for name in ("etcd", "kube-apiserver", "kubectl")}


def namespaces(control_plane: ControlPlane) -> list[str | None]:
    return [(found.metadata and found.metadata.name) or None for found in control_plane.client().list(Namespace)]


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane of our own: what is broken here disturbs nobody."""
    with running_control_plane(tmp_path_factory.mktemp("fragile")) as running:
        yield running


@pytest.mark.slow
def test_data_survives_etcd(fragile: ControlPlane) -> None:
    fragile.token("survivor", namespace="survivors")
    fragile.stop_etcd()
    fragile.start_etcd()
    assert "survivors" in namespaces(fragile)


@pytest.mark.slow
def test_without_etcd_nothing_is_read(fragile: ControlPlane) -> None:
    fragile.stop_etcd()
    impatient = Client(KubeConfig.from_file(fragile.kubeconfig()), timeout=Timeout(0.2), trust_env=False)
    with impatient, pytest.raises(TimeoutException):
        impatient.get(Namespace, "kube-system")
    fragile.start_etcd()
    assert "kube-system" in namespaces(fragile)


@pytest.mark.slow
def test_the_api_server_comes_back_where_it_was(fragile: ControlPlane) -> None:
    before = fragile.url, fragile.process_ids
    fragile.restart_api_server()
    assert "kube-system" in namespaces(fragile)
    assert fragile.url == before[0]
    assert fragile.process_ids != before[1]


def test_a_program_that_ends_is_reported_with_its_last_words(tmp_path: Path) -> None:
    broken = tmp_path / "etcd"
    broken.write_text("#!/bin/sh\necho the disk is on fire >&2\nexit 3\n")
    broken.chmod(0o700)
    starting = running_control_plane(tmp_path / "cluster", programs=programs(etcd=broken))
    with pytest.raises(ControlPlaneError, match=r"(?s)etcd ended with code 3.*the disk is on fire"), starting:
        pass


def test_when_one_does_not_start_the_other_ends(tmp_path: Path) -> None:
    broken = shutil.copy("/bin/false", tmp_path / "kube-apiserver")
    starting = running_control_plane(tmp_path / "cluster", programs=programs(**{"kube-apiserver": Path(broken)}))
    with pytest.raises(ControlPlaneError, match="kube-apiserver ended with code 1"), starting:
        pass
    listening = subprocess.run(["pgrep", "--full", str(tmp_path)], check=False, capture_output=True)
    assert listening.stdout == b""


@pytest.mark.slow
def test_nothing_is_left_but_logs_and_keys(tmp_path: Path) -> None:
    with running_control_plane(tmp_path / "cluster") as control_plane:
        process_ids = control_plane.process_ids
    assert not any(map(is_running, process_ids))
    assert not (tmp_path / "cluster" / "etcd").exists()
    assert (tmp_path / "cluster" / "kube-apiserver.log").stat().st_size


@pytest.mark.slow
def test_programs_die_with_who_started_them(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path / "cluster")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        process_ids = [int(word) for word in parent.stdout.readline().split()]
        assert len(process_ids) == 2
        os.kill(parent.pid, signal.SIGKILL)
    wait_for(map(ended, process_ids), timeout=10)
