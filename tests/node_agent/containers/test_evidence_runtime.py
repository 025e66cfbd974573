# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Containers that collect evidence get the devices that this machine has, and nothing else that others lack."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from constellation_engine.components import Origin, Store
from node_agent.errors import PermanentError
from node_agent.evidence_runtime import write_evidence_runtime

SHIPPED = "images/node/mkosi.extra/usr/lib/constellation/containers/runtime-spec.json"
OPENABLE = next((path for path in map(Path, ("/dev/fuse", "/dev/net/tun", "/dev/kvm")) if path.exists()), None)


@pytest.fixture
def base(repository: Path) -> Path:
    """What containers of a node begin with."""
    return repository / SHIPPED


def written(base: Path, target: Path, *devices: Path) -> dict[str, Any]:
    write_evidence_runtime(base, target, devices)
    specification: dict[str, Any] = json.loads(target.read_text())
    return specification


def test_a_device_is_there_and_allowed(base: Path, tmp_path: Path) -> None:
    linux = written(base, tmp_path / "spec.json", Path("/dev/zero"))["linux"]
    numbers = {"type": "c", "major": 1, "minor": 5}
    assert linux["devices"] == [{"path": "/dev/zero", **numbers, "fileMode": 0o660, "uid": 0, "gid": 65532}]
    assert linux["resources"]["devices"] == [
        {"allow": False, "access": "rwm"},
        {"allow": True, **numbers, "access": "rw"},
    ]


def test_a_device_that_is_not_there_is_left_out(base: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    devices = (tmp_path / "nothing", tmp_path / "file", Path("/dev/zero"))
    assert write_evidence_runtime(base, tmp_path / "spec.json", devices) == (Path("/dev/zero"),)


def test_nothing_else_differs(base: Path, tmp_path: Path) -> None:
    specification = written(base, tmp_path / "spec.json", Path("/dev/zero"))
    del specification["linux"]["devices"]
    specification["linux"]["resources"]["devices"].pop()
    assert specification == json.loads(base.read_text())


def test_it_may_be_written_again(base: Path, tmp_path: Path) -> None:
    first = written(base, tmp_path / "spec.json", Path("/dev/zero"))
    assert written(base, tmp_path / "spec.json", Path("/dev/zero")) == first
    assert [path.name for path in tmp_path.iterdir()] == ["spec.json"]


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"linux": {}}', '{"linux": {"resources": {"devices": 1}}}'])
def test_a_base_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "base.json").write_text(text)
    with pytest.raises(PermanentError, match="cannot be set up from"):
        write_evidence_runtime(tmp_path / "base.json", tmp_path / "spec.json", [Path("/dev/zero")])
    assert not (tmp_path / "spec.json").exists()


def test_a_missing_base_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="cannot be set up from"):
        write_evidence_runtime(tmp_path / "base.json", tmp_path / "spec.json")


@pytest.mark.timeout(900)  # containerd's client may have to be built first
def test_containers_begin_with_what_containerd_gives_all(base: Path) -> None:
    client = Store().fetch(["ctr"], only=Origin.BUILD)["ctr"]
    theirs = json.loads(subprocess.run([client, "oci", "spec"], check=True, capture_output=True).stdout)
    del theirs["process"]["rlimits"]  # the CRI plug-in removes them from other containers
    assert json.loads(base.read_text()) == theirs


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """What runc runs: this machine's own programs, in a root that has nothing else."""
    root = tmp_path / "rootfs"
    for name in ("dev", "proc", "run", "sys", "usr"):
        (root / name).mkdir(parents=True)
    for name in ("bin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    return tmp_path


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("runc"), reason="only root, and with runc, runs containers")
@pytest.mark.skipif(OPENABLE is None, reason="this machine has no device that containers do not have anyway")
@pytest.mark.parametrize("group, opened", [(65532, True), (1000, False)])
def test_runc_opens_the_device_to_its_group_only(base: Path, bundle: Path, group: int, opened: bool) -> None:
    assert OPENABLE is not None
    specification = written(base, bundle / "config.json", OPENABLE)
    programs = {"destination": "/usr", "source": "/usr", "type": "bind", "options": ["rbind", "ro"]}
    specification["mounts"].append(programs)
    specification["process"]["user"] = {"uid": 1234, "gid": group}
    specification["process"]["args"] = ["/bin/sh", "-c", f"exec 3<>{OPENABLE}"]
    (bundle / "config.json").write_text(json.dumps(specification))
    command = ["runc", f"--root={bundle / 'runc'}", "run", f"--bundle={bundle}", f"evidence-{os.getpid()}"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert (result.returncode == 0) is opened, result.stderr
    assert opened or "ermission denied" in result.stderr
