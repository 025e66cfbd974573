# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Addresses that metadata wants are handed to systemd-networkd."""

from __future__ import annotations

from configparser import ConfigParser
from ipaddress import ip_address, ip_interface
from typing import TYPE_CHECKING

import pytest

from node_agent import addresses
from node_agent.addresses import network_file, own_addresses, set_addresses
from node_agent.errors import TemporaryError
from node_agent.metadata.record import NetworkCard

if TYPE_CHECKING:
    from pathlib import Path

CARD = NetworkCard(mac="52:54:00:00:00:01", addresses=(ip_interface("10.99.0.1/24"),))


def test_a_file_names_the_interface_and_its_address() -> None:
    read = ConfigParser()
    read.read_string(network_file(CARD))
    assert read["Match"]["MACAddress"] == CARD.mac
    assert (read["Network"]["Address"], read["Network"]["DHCP"]) == ("10.99.0.1/24", "no")


def test_an_interface_may_have_more_addresses() -> None:
    card = NetworkCard(mac=CARD.mac, addresses=(ip_interface("10.99.0.1/24"), ip_interface("fd00::1/64")))
    assert network_file(card).endswith("Address=10.99.0.1/24\nAddress=fd00::1/64\n")


async def test_files_are_there_when_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "network" / "10-constellation-0.network"
    monkeypatch.setattr(addresses, "RELOAD", ("grep", "-q", "10.99.0.1/24", str(file)))
    await set_addresses([CARD], tmp_path / "network")
    assert file.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("program", ["false", "there-is-no-such-program"])
async def test_a_service_that_does_not_take_them_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.setattr(addresses, "RELOAD", (program,))
    with pytest.raises(TemporaryError, match="does not take addresses"):
        await set_addresses([CARD], tmp_path)


def test_own_addresses_are_not_loopback() -> None:
    assert not any(ip_address(address).is_loopback for address in own_addresses().values())
