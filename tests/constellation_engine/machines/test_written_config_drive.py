# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The config drive, read by other programs than the one that wrote it."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from dataclasses import replace
from ipaddress import IPv4Interface
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constellation_engine.errors import MachineSpecError
from constellation_engine.machines import MachineSpec, Segment
from constellation_engine.machines.config_drive import MAX_SIZE, Nic, config_drive, mac_address
from constellation_engine.machines.iso9660 import SECTOR, one_file

PLAIN = MachineSpec(image=Path("/image.raw"), metadata={"version": 1, "name": "node-0"})


def read_file(image: bytes) -> tuple[str, bytes]:
    """Give name and content of the one file, as ECMA-119 says how to find it."""
    volume = image[16 * SECTOR : 17 * SECTOR]
    assert volume[:7] == b"\x01CD001\x01"
    assert struct.unpack_from("<I", volume, 80)[0] * SECTOR == len(image)
    root = image[struct.unpack_from("<I", volume, 158)[0] * SECTOR :]
    offset = root[0] + root[root[0]]  # past itself and its parent
    where, size = (struct.unpack_from("<I", root, offset + place)[0] for place in (2, 10))
    name = root[offset + 33 : offset + 33 + root[offset + 32]].decode("ascii")
    return name, image[where * SECTOR :][:size]


@given(st.binary(max_size=3 * SECTOR))
def test_a_file_has_the_content_that_was_written(content: bytes) -> None:
    image = one_file("LABEL", "metadata.json", content)
    assert read_file(image) == ("METADATA.JSON;1", content)
    assert len(image) % SECTOR == 0


@pytest.mark.parametrize("label", ["", "constellation", "A" * 33, "A B", "Ä"])
def test_no_label_is(label: str) -> None:
    with pytest.raises(ValueError, match="no label"):
        one_file(label, "metadata.json", b"")


@pytest.mark.parametrize("name", ["", "a", "../a.b", "a.b;1", "a" * 27 + ".b", "metadata.jsonl5"])
def test_no_file_is_called(name: str) -> None:
    with pytest.raises(ValueError, match="no file name"):
        one_file("LABEL", name, b"")


@pytest.mark.skipif(shutil.which("blkid") is None, reason="util-linux is not installed")
def test_a_guest_finds_it_by_its_label(tmp_path: Path) -> None:
    image = tmp_path / "config.iso"
    image.write_bytes(config_drive("node-0", PLAIN))
    command = ["blkid", "--probe", "--output", "export", str(image)]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "LABEL=CONSTELLATION\n" in found
    assert "TYPE=iso9660\n" in found


def test_it_holds_the_metadata() -> None:
    _, content = read_file(config_drive("node-0", PLAIN))
    assert json.loads(content) == PLAIN.metadata


def test_the_same_metadata_give_the_same_bytes() -> None:
    assert config_drive("node-0", PLAIN) == config_drive("node-0", PLAIN)


def test_it_tells_the_addresses_on_the_segment() -> None:
    addresses = (IPv4Interface("10.99.0.1/24"), IPv4Interface("10.98.0.1/16"))
    spec = replace(PLAIN, segment=Segment.of("cluster"), addresses=addresses)
    _, content = read_file(config_drive("node-0", spec))
    expected = {"mac": mac_address("node-0", Nic.SEGMENT), "addresses": ["10.99.0.1/24", "10.98.0.1/16"]}
    assert json.loads(content)["network"] == [expected]


def test_metadata_do_not_say_the_addresses_too() -> None:
    with pytest.raises(MachineSpecError, match="no key network"):
        config_drive("node-0", replace(PLAIN, metadata={"network": []}))


@pytest.mark.parametrize("metadata", [{"key": object()}, {"key": float("nan")}])
def test_what_json_cannot_say_is_refused(metadata: dict[str, object]) -> None:
    with pytest.raises(MachineSpecError, match="what JSON can say"):
        config_drive("node-0", replace(PLAIN, metadata=metadata))


def test_more_than_a_node_reads_is_refused() -> None:
    with pytest.raises(MachineSpecError, match="at most 65536 bytes"):
        config_drive("node-0", replace(PLAIN, metadata={"key": "x" * MAX_SIZE}))
