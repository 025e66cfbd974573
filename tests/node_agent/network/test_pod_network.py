# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The configuration of the pod network, and the settings of the kernel that it needs."""

from __future__ import annotations

import json
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any, Final

import pytest

from node_agent.errors import PermanentError
from node_agent.network.names import BRIDGE
from node_agent.network.pod_network import FILE, SYSCTLS, allow_forwarding, configuration, write_configuration

if TYPE_CHECKING:
    from pathlib import Path

PODS: Final = IPv4Network("10.244.3.0/24")


def test_pods_get_addresses_of_this_node() -> None:
    record: dict[str, Any] = configuration(PODS, 1440)
    bridge, portmap = record["plugins"]
    assert bridge["ipam"]["ranges"] == [[{"subnet": "10.244.3.0/24"}]]
    assert (bridge["bridge"], bridge["mtu"], bridge["ipMasq"]) == (BRIDGE, 1440, False)
    assert portmap["backend"] == "nftables"


def test_it_is_written_once(tmp_path: Path) -> None:
    folder = tmp_path / "net.d"
    write_configuration(PODS, 1440, folder)
    before = (folder / FILE).stat().st_ino
    write_configuration(PODS, 1440, folder)
    assert (folder / FILE).stat().st_ino == before
    assert json.loads((folder / FILE).read_text()) == configuration(PODS, 1440)
    assert [path.name for path in folder.iterdir()] == [FILE]


def test_another_mtu_replaces_it(tmp_path: Path) -> None:
    write_configuration(PODS, 1440, tmp_path)
    write_configuration(PODS, 1390, tmp_path)
    assert json.loads((tmp_path / FILE).read_text())["plugins"][0]["mtu"] == 1390


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PermanentError, match="cannot write"):
        write_configuration(PODS, 1440, tmp_path / "file")


def settings(folder: Path, value: str) -> None:
    for name in SYSCTLS:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{value}\n")


@pytest.mark.parametrize("value", ["0", "1"])
def test_the_kernel_forwards(tmp_path: Path, value: str) -> None:
    settings(tmp_path, value)
    allow_forwarding(tmp_path)
    assert {(tmp_path / name).read_text().strip() for name in SYSCTLS} == {"1"}


def test_a_kernel_without_the_module_is_said(tmp_path: Path) -> None:
    settings(tmp_path, "0")
    (tmp_path / "net/bridge/bridge-nf-call-iptables").unlink()
    with pytest.raises(PermanentError, match="bridge-nf-call-iptables") as caught:
        allow_forwarding(tmp_path)
    assert "br_netfilter" in caught.value.hint
    assert (tmp_path / "net/ipv4/ip_forward").read_text() == "0\n"
