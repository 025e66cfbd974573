# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What is on a disk is told apart, what is not ours is left alone, and a power cut leaves one of our three states."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constellation_core.keys.secret import Secret
from node_agent.disk import StateDisk
from node_agent.disk.device import SMALLEST, examine, put_header, put_mark
from node_agent.disk.mark import BLOCK_SIZE, read_mark, write_mark
from node_agent.errors import PermanentError, TemporaryError
from node_agent.parts import DiskKind, DiskState
from tests.node_agent.disk.headers import UUID_TEXT, recorded, write_area

if TYPE_CHECKING:
    from pathlib import Path

    from node_agent import parts

UUID_OF_DISK = UUID(UUID_TEXT)
AREA = write_area(recorded())
SECTOR = 512


@pytest.fixture
def device(tmp_path: Path) -> Path:
    """An empty disk, for what needs no kernel."""
    file = tmp_path / "disk.raw"
    with file.open("wb") as stream:
        stream.truncate(SMALLEST)
    return file


def write(device: Path, offset: int, content: bytes) -> None:
    with device.open("r+b") as stream:
        stream.seek(offset)
        stream.write(content)


def last_change(device: Path) -> int:
    return device.stat().st_mtime_ns


def as_the_agent_sees_it(device: Path) -> parts.StateDisk:
    return StateDisk(device, name="no-such-mapping", mount_point=device / "none", binds=())


def test_an_empty_disk_is_new(device: Path) -> None:
    assert examine(device) == DiskState(DiskKind.NEW)


def test_a_marked_disk_is_unfinished_and_keeps_its_uuid(device: Path) -> None:
    put_mark(device, UUID_OF_DISK)
    assert examine(device) == DiskState(DiskKind.UNFINISHED, UUID_OF_DISK, reason="no cluster has adopted it")


def test_a_disk_with_our_header_is_initialized(device: Path) -> None:
    put_header(device, AREA)
    assert examine(device) == DiskState(DiskKind.INITIALIZED, UUID_OF_DISK, "abc")


def test_a_disk_of_ours_with_a_changed_header_is_never_formatted(device: Path) -> None:
    metadata = recorded()
    metadata["tokens"]["0"] = {"type": "constellation-state-disk", "initialized": False}
    put_header(device, write_area(metadata))
    assert examine(device).kind is DiskKind.INITIALIZED


OTHERS = {
    "a boot sector": (0, b"\xeb\x63\x90"),
    "a partition table": (512, b"EFI PART"),
    "a copy of a partition table": (SMALLEST - 512, b"EFI PART"),
    "LVM": (512, b"LABELONE"),
    "ext4": (1024 + 56, b"\x53\xef"),
    "XFS": (0, b"XFSB"),
    "Btrfs": (65536 + 64, b"_BHRfS_M"),
    "RAID": (4096, b"\xfc\x4e\x2b\xa9"),
    "RAID at the end": (SMALLEST - 65536, b"\xfc\x4e\x2b\xa9"),
    "a LUKS1 disk": (0, b"LUKS\xba\xbe\0\1"),
    "a damaged header of ours": (0, AREA[:5000]),
    "only the second header of ours": (16384, AREA[16384:32768]),
    "somebody's LUKS2 disk": (0, write_area({**recorded(), "tokens": {}})),
    "somebody's LUKS2 disk with another label": (0, write_area(recorded(), label="data")),
    "tokens that are none": (0, write_area({**recorded(), "tokens": []})),
    "a mark with something behind it": (0, write_mark(UUID_OF_DISK)[:-1] + b"x"),
    "a mark without UUID": (0, b"constellation-state: unfinished\n"),
}


@pytest.mark.parametrize("other", OTHERS)
async def test_another_disk_is_foreign_and_left_alone(device: Path, other: str) -> None:
    write(device, *OTHERS[other])
    before = last_change(device)
    state = examine(device)
    assert (state.kind, bool(state.reason)) == (DiskKind.FOREIGN, True)
    with pytest.raises(PermanentError, match="expected a state disk that is new or unfinished") as raised:
        await as_the_agent_sees_it(device).prepare()
    assert raised.value.hint
    assert last_change(device) == before


async def test_an_initialized_disk_is_not_formatted(device: Path) -> None:
    put_header(device, AREA)
    with pytest.raises(PermanentError, match="got one that is initialized"):
        await as_the_agent_sees_it(device).prepare()


async def test_a_disk_that_is_not_prepared_is_not_adopted(device: Path) -> None:
    with pytest.raises(PermanentError, match="expected a disk that was prepared"):
        await as_the_agent_sees_it(device).adopt(Secret.random(32), "abc")


def test_a_small_disk_is_refused_with_both_sizes(device: Path) -> None:
    with device.open("r+b") as stream:
        stream.truncate(SMALLEST - 4096)
    assert examine(device).reason == "it has 255 MiB, a state disk needs 256"


def test_a_disk_that_is_not_there_may_come(tmp_path: Path) -> None:
    with pytest.raises(TemporaryError, match="there is no"):
        examine(tmp_path / "none")


def test_a_disk_that_cannot_be_read_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="Is a directory"):
        examine(tmp_path)


@settings(max_examples=25)
@given(st.sets(st.integers(0, len(AREA) // SECTOR - 1)))
def test_whatever_sectors_a_power_cut_leaves_the_disk_is_one_or_the_other(
    tmp_path_factory: pytest.TempPathFactory, arrived: set[int]
) -> None:
    """First come all sectors but those of the first block, in any order; then, when all are there, that one sector."""
    device = tmp_path_factory.mktemp("cut") / "disk.raw"
    with device.open("wb") as stream:
        stream.truncate(SMALLEST)
    put_mark(device, UUID_OF_DISK)
    for sector in arrived:
        if sector * SECTOR >= BLOCK_SIZE:
            write(device, sector * SECTOR, AREA[sector * SECTOR : (sector + 1) * SECTOR])
    assert examine(device).kind is DiskKind.UNFINISHED
    write(device, BLOCK_SIZE, AREA[BLOCK_SIZE:])
    assert examine(device).kind is DiskKind.UNFINISHED
    write(device, 0, AREA[:SECTOR])
    assert examine(device).kind is DiskKind.INITIALIZED


def test_the_first_block_of_a_header_is_one_sector_and_zeros() -> None:
    """A write of one sector happens or does not; of a whole block, that is not certain."""
    assert not any(AREA[SECTOR:BLOCK_SIZE])
    assert not any(write_mark(UUID_OF_DISK)[SECTOR:])


@given(st.binary(max_size=BLOCK_SIZE))
def test_noise_is_no_mark(noise: bytes) -> None:
    assert read_mark(noise) is None


@given(st.uuids())
def test_a_mark_is_read_back(uuid: UUID) -> None:
    assert read_mark(write_mark(uuid)) == uuid
