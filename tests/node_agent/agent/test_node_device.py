# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The device of a node: one mark for each boot, and a file that never claims what no register says."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from attestation.errors import DeviceError
from attestation.testing.swtpm import running_swtpm
from attestation.variant import Variant
from node_agent.device import NodeDevice
from node_agent.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CLUSTER = bytes(range(32))


@pytest.fixture
def device(tmp_path: Path) -> Iterator[NodeDevice]:
    (tmp_path / "tpm").mkdir()
    with running_swtpm(tmp_path / "tpm", endorsed=False) as tpm:
        yield NodeDevice(Variant.QEMU_VTPM, tmp_path, tpm=tpm.address)


def test_a_boot_is_marked_once(device: NodeDevice, tmp_path: Path) -> None:
    assert not device.marked(device.registers())
    device.mark(CLUSTER)
    expected = hashlib.sha256(bytes(32) + hashlib.sha256(CLUSTER).digest()).digest()
    assert device.registers()[15] == expected
    assert device.marked(device.registers())
    assert (tmp_path / "cluster-id").read_text() == f"{CLUSTER.hex()}\n"
    with pytest.raises(PermanentError, match="belongs to a cluster already"):
        device.mark(bytes(32))
    assert device.registers()[15] == expected


def test_services_may_read_whose_node_it_is(device: NodeDevice, tmp_path: Path) -> None:
    device.mark(CLUSTER)
    assert (tmp_path / "cluster-id").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_mark_has_one_size(device: NodeDevice, size: int) -> None:
    with pytest.raises(PermanentError, match="expected 32 bytes"):
        device.mark(bytes(size))
    assert not device.marked(device.registers())


def test_nothing_is_claimed_where_the_device_fails(tmp_path: Path) -> None:
    with pytest.raises(DeviceError):
        NodeDevice(Variant.QEMU_VTPM, tmp_path, tpm="tcp://127.0.0.1:1").mark(CLUSTER)
    assert not (tmp_path / "cluster-id").exists()


def test_a_platform_without_registers_has_a_file(tmp_path: Path) -> None:
    device = NodeDevice(Variant.QEMU_SNP, tmp_path)
    assert device.registers() == {}
    device.mark(CLUSTER)
    assert device.marked({})
    with pytest.raises(PermanentError, match="belongs to a cluster already"):
        device.mark(CLUSTER)


def test_evidence_is_made_again_and_again(device: NodeDevice) -> None:
    assert device.issue(bytes(32)).tpm != device.issue(CLUSTER).tpm
