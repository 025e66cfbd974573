# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A state disk from empty to mounted, and back after a power cycle: real device-mapper, real ext4."""

from __future__ import annotations

import mmap
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from constellation_core.keys.secret import Secret
from node_agent import programs
from node_agent.disk import StateDisk, file_system, luks
from node_agent.disk.allowed import DATA_OFFSET, LABEL
from node_agent.disk.device import examine
from node_agent.disk.header import COPY_SIZE, parse_header
from node_agent.disk.luks import HeaderInMemory
from node_agent.errors import PermanentError
from node_agent.parts import DiskKind, DiskState
from tests.node_agent.disk.conftest import PLAIN_TEXT, RawDisk, output_of, written
from tests.node_agent.disk.headers import recorded, write_area

if TYPE_CHECKING:
    from node_agent.disk.state_disk import _Prepared

pytestmark = pytest.mark.guest


async def test_an_adopted_disk_opens_with_its_key_only_and_has_what_was_written(
    disk: StateDisk, key: Secret, raw: RawDisk, binds: tuple[Path, ...]
) -> None:
    uuid = await disk.prepare()
    await disk.mount()
    (binds[0] / "member").write_bytes(PLAIN_TEXT * 1000)
    throw_away = prepared(disk).key
    await disk.adopt(key, "a1b2c3")
    await disk.close()
    assert not (binds[0] / "member").exists()
    assert await disk.examine() == DiskState(DiskKind.INITIALIZED, uuid, "a1b2c3")
    for other in (throw_away, Secret.random(32)):
        with pytest.raises(PermanentError, match="another disk's"):
            await disk.open(other)
    await disk.open(key)
    await disk.mount()
    assert (binds[0] / "member").read_bytes() == PLAIN_TEXT * 1000
    await disk.close()
    with raw.file.open("rb") as stream:
        content = b"".join(part for _, part in written(stream))
    assert LABEL.encode() in content  # we do search
    secret = (PLAIN_TEXT, key.reveal(), throw_away.reveal(), b"lost+found")
    assert [content.count(text) for text in secret] == [0, 0, 0, 0]


async def test_a_power_cut_leaves_an_unfinished_disk_until_it_is_adopted(
    disk: StateDisk, key: Secret, raw: RawDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before each program that runs, and after the last, the disk is what a cut would leave."""
    seen: list[DiskState] = []

    async def watched(*arguments: Any, **options: Any) -> str:  # noqa: ANN401 - as they are
        seen.append(examine(raw.device))
        return await programs.run(*arguments, **options)

    monkeypatch.setattr(luks, "run", watched)
    monkeypatch.setattr(file_system, "run", watched)
    uuid = await disk.prepare()
    await disk.adopt(key, "a1b2c3")
    assert len(seen) == len(("luksFormat", "open", "mkfs.ext4", "luksAddKey", "luksKillSlot", "token", "open"))
    assert {(state.kind, state.uuid) for state in seen} == {(DiskKind.UNFINISHED, uuid)}
    assert examine(raw.device).kind is DiskKind.INITIALIZED


@pytest.mark.slow
async def test_whoever_comes_after_a_killed_agent_begins_again_with_the_same_disk(
    disk: StateDisk, key: Secret, raw: RawDisk, tmp_path: Path
) -> None:
    """The killed one leaves its mapping open and its file system mounted."""
    uuid = await disk.prepare()
    await disk.mount()
    killed, disk._prepared = disk._prepared, None
    after = StateDisk(raw.device, name="test", mount_point=tmp_path / "state", binds=disk._binds)
    assert (await after.examine()).kind is DiskKind.UNFINISHED
    assert await after.prepare() == uuid
    await after.adopt(key, "a1b2c3")
    await after.open(key)
    assert killed is not None
    with pytest.raises(PermanentError, match="another disk's"):
        await after.open(killed.key)


async def test_a_header_that_is_swapped_after_the_check_is_not_used(
    adopted: StateDisk, key: Secret, raw: RawDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = recorded()
    metadata["segments"]["0"] = {"type": "linear", "offset": "2097152", "size": "dynamic"}
    real_open = HeaderInMemory.open

    async def swap_and_open(*arguments: Any) -> None:  # noqa: ANN401 - as they are
        raw.write(0, write_area(metadata))
        await real_open(*arguments)

    monkeypatch.setattr(HeaderInMemory, "open", swap_and_open)
    await adopted.open(key)
    assert "crypt capi:authenc(hmac(sha256),xts(aes))-plain64" in output_of("dmsetup", "table", "test")
    monkeypatch.undo()
    with pytest.raises(PermanentError, match="refused"):
        await adopted.open(key)


async def test_changed_blocks_are_an_error_and_no_other_data(adopted: StateDisk, key: Secret, raw: RawDisk) -> None:
    with raw.file.open("r+b") as stream, mmap.mmap(stream.fileno(), 0) as content:
        for offset in range(4 << 20, 64 << 20, 4096):
            content[offset : offset + 8] = b"flipped!"
    output_of("blockdev", "--flushbufs", raw.device)
    await adopted.open(key)
    with pytest.raises(PermanentError, match="mount"):
        await adopted.mount()
    assert "INTEGRITY AEAD ERROR" in output_of("dmesg")


async def test_without_the_check_a_host_could_turn_encryption_off(
    adopted: StateDisk, key: Secret, raw: RawDisk
) -> None:
    """The real key slot with another segment: the tool that opens disks believes it, with the real key. We do not."""
    area = raw.read(DATA_OFFSET)
    header = parse_header(area)
    segment = header.metadata["segments"]["0"]
    segment.update(encryption="cipher_null-ecb", sector_size=512)
    del segment["integrity"]
    changed = write_area(header.metadata, uuid=str(header.uuid))
    raw.write(0, changed[: 2 * COPY_SIZE] + area[2 * COPY_SIZE :])
    raw.write(DATA_OFFSET, PLAIN_TEXT)
    output_of("cryptsetup", "open", "--key-file", "-", raw.device, "test", stdin=key.reveal())
    assert RawDisk(raw.file, Path("/dev/mapper/test")).read(len(PLAIN_TEXT)) == PLAIN_TEXT
    with pytest.raises(PermanentError, match=r"segments\.0\.encryption: expected 'aes-xts-plain64'"):
        await adopted.open(key)


@pytest.mark.slow
async def test_a_larger_disk_is_taken_whole(adopted: StateDisk, key: Secret, raw: RawDisk) -> None:
    with raw.file.open("r+b") as stream:
        stream.truncate(640 << 20)
    output_of("losetup", "--set-capacity", raw.device)
    await adopted.open(key)
    await adopted.mount()
    before = os.statvfs(adopted.mount_point).f_blocks
    await adopted.grow()
    assert os.statvfs(adopted.mount_point).f_blocks > 2 * before
    assert (adopted.mount_point / "file").read_bytes() == PLAIN_TEXT * 4096
    await adopted.close()
    await adopted.open(key)
    output_of("e2fsck", "-f", "-n", "/dev/mapper/test")


@pytest.mark.slow
async def test_every_part_of_a_disk_that_was_not_wiped_can_be_used(raw: RawDisk, disk: StateDisk) -> None:
    with raw.file.open("r+b") as stream:
        stream.truncate(4 << 30)
    output_of("losetup", "--set-capacity", raw.device)
    await disk.prepare()
    await disk.mount()
    output_of("dmesg", "--clear")
    state = disk.mount_point
    for number in range(64):  # folders next to one another go to different groups of blocks
        (state / f"{number}" / "inner").mkdir(parents=True)
        (state / f"{number}" / "file").write_text("text")
    with (state / "large").open("wb") as stream:
        os.posix_fallocate(stream.fileno(), 0, os.statvfs(state).f_bavail * 4096 - (8 << 20))
    os.sync()
    await file_system.unmount(state, disk._binds)
    output_of("e2fsck", "-f", "-n", "/dev/mapper/test")
    await disk.mount()
    shutil.rmtree(state / "7")
    assert "EXT4-fs error" not in output_of("dmesg")


async def test_all_tables_of_inodes_can_be_read(disk: StateDisk) -> None:
    """The kernel reads a block of them that was never used when two of its inodes are made at the same time."""
    await disk.prepare()
    mapping = Path("/dev/mapper/test")
    tables = re.findall(r"Inode table at (\d+)-(\d+)", output_of("dumpe2fs", mapping))
    assert tables
    device = os.open(mapping, os.O_RDONLY)
    try:
        for first, last in tables:
            for block in range(int(first), int(last) + 1):
                assert len(os.pread(device, 4096, 4096 * block)) == 4096
    finally:
        os.close(device)


def prepared(disk: StateDisk) -> _Prepared:
    assert disk._prepared is not None
    return disk._prepared
