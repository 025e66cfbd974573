# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The units of kubelet and containerd: systemd understands them, they wait to be started, they need the state disk."""

from __future__ import annotations

import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest

UNITS = Path("images/node/mkosi.extra/usr/lib/systemd/system")
NEVER = {"CAP_SYS_MODULE", "CAP_SYS_BOOT", "CAP_SYS_TIME", "CAP_SYS_RAWIO"}


def unit(repository: Path, name: str) -> dict[str, dict[str, str]]:
    parser = ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(repository / UNITS / f"{name}.service", encoding="utf-8")
    return {section: dict(parser[section]) for section in parser.sections()}


@pytest.mark.parametrize("name", ["containerd", "kubelet"])
def test_it_is_started_by_nobody_but_the_agent(repository: Path, name: str) -> None:
    assert "Install" not in unit(repository, name)


@pytest.mark.parametrize("name", ["containerd", "kubelet"])
def test_no_container_does_what_none_must(repository: Path, name: str) -> None:
    forbidden = unit(repository, name)["Service"]["CapabilityBoundingSet"]
    assert forbidden.startswith("~")
    assert set(forbidden.removeprefix("~").split()) >= NEVER


@pytest.mark.parametrize("name, folder", [("containerd", "/var/lib/containerd"), ("kubelet", "/etc/kubernetes")])
def test_it_runs_on_the_state_disk_or_not_at_all(repository: Path, name: str, folder: str) -> None:
    assert unit(repository, name)["Unit"]["AssertPathIsMountPoint"] == folder


@pytest.mark.parametrize("name", ["containerd", "kubelet"])
@pytest.mark.parametrize("hides", ["ProtectSystem", "PrivateTmp", "PrivateMounts", "ProtectHome", "PrivateDevices"])
def test_its_mounts_are_everybodys(repository: Path, name: str, hides: str) -> None:
    """A mount namespace of its own would hide volumes from containers."""
    assert hides not in unit(repository, name)["Service"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
@pytest.mark.parametrize("name", ["containerd", "kubelet"])
def test_systemd_understands_it(repository: Path, tmp_path: Path, name: str) -> None:
    text = (repository / UNITS / f"{name}.service").read_text(encoding="utf-8")
    file = tmp_path / f"{name}.service"
    file.write_text(text.replace(f"/usr/bin/{name}", "/bin/true").replace("Requires=containerd.service\n", ""), "utf-8")
    said = subprocess.run(
        ["systemd-analyze", "verify", str(file)], check=False, capture_output=True, text=True, timeout=50
    )
    assert (said.returncode, said.stderr.replace("\n", "")) == (0, "")
