# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A state disk from empty to mounted, and back after a power cycle: real device-mapper, real ext4."""

from __future__ import annotations

import mmap
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from constellation_core.keys.secret import Secret
from node_agent.disk import StateDisk, file_system, luks, programs
from node_agent.disk.allowed import LABEL
from node_agent.disk.device import examine
from node_agent.disk.luks import HeaderInMemory
from node_agent.errors import PermanentError
from node_agent.parts import DiskKind, DiskState
from tests.node_agent.disk.conftest import output_of
from tests.node_agent.disk.headers import recorded, write_area

if TYPE_CHECKING:
    from pathlib import Path

    from node_agent.disk.state_disk import _Prepared
    from tests.node_agent.disk.conftest import RawDisk

pytestmark = pytest.mark.guest

PLAIN_TEXT = b"a text that nobody else has written "


async def test_an_adopted_disk_opens_with_its_key_and_has_what_was_written(
    disk: StateDisk, key: Secret, binds: tuple[Path, ...]
) -> None:
    uuid = await disk.prepare()
    await disk.mount()
    (binds[0] / "member").write_text("etcd's")
    await disk.adopt(key, "a1b2c3")
    await disk.close()
    assert not (binds[0] / "member").exists()
    assert await disk.examine() == DiskState(DiskKind.INITIALIZED, uuid, "a1b2c3")
    await disk.open(key)
    await disk.mount()
    assert (binds[0] / "member").read_text() == "etcd's"


async def test_no_other_key_opens_it_and_the_throw_away_key_is_gone(disk: StateDisk, key: Secret) -> None:
    await disk.prepare()
    throw_away = prepared(disk).key
    await disk.adopt(key, "a1b2c3")
    for other in (throw_away, Secret.random(32)):
        with pytest.raises(PermanentError, match="another disk's"):
            await disk.open(other)


async def test_a_key_of_another_length_is_refused(disk: StateDisk) -> None:
    """`cryptsetup` would take the first part of a longer one."""
    await disk.prepare()
    with pytest.raises(PermanentError, match="expected a key of 32 bytes"):
        await disk.adopt(Secret.random(33), "a1b2c3")


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


async def test_neither_keys_nor_what_is_kept_are_on_the_raw_disk(
    disk: StateDisk, key: Secret, raw: RawDisk, binds: tuple[Path, ...]
) -> None:
    await disk.prepare()
    throw_away = prepared(disk).key
    await disk.mount()
    (binds[0] / "secret").write_bytes(PLAIN_TEXT * 1000)
    await disk.adopt(key, "a1b2c3")
    await disk.close()
    with raw.file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ) as content:
        assert content.find(b"constellation-state") == content.find(LABEL.encode())  # we do search
        found = [content.find(text) for text in (PLAIN_TEXT, key.reveal(), throw_away.reveal(), b"lost+found")]
    assert found == [-1] * 4


async def test_a_header_that_is_swapped_after_the_check_is_not_used(
    disk: StateDisk, key: Secret, raw: RawDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await disk.prepare()
    await disk.adopt(key, "a1b2c3")
    metadata = recorded()
    metadata["segments"]["0"] = {"type": "linear", "offset": "2097152", "size": "dynamic"}
    real_open = HeaderInMemory.open

    async def swap_and_open(*arguments: Any) -> None:  # noqa: ANN401 - as they are
        raw.write(0, write_area(metadata))
        await real_open(*arguments)

    monkeypatch.setattr(HeaderInMemory, "open", swap_and_open)
    await disk.open(key)
    assert "crypt capi:authenc(hmac(sha256),xts(aes))-plain64" in output_of("dmsetup", "table", "test")
    monkeypatch.undo()
    with pytest.raises(PermanentError, match="refused"):
        await disk.open(key)


async def test_a_changed_block_is_an_error_and_no_other_data(
    disk: StateDisk, key: Secret, raw: RawDisk, tmp_path: Path
) -> None:
    await disk.prepare()
    await disk.mount()
    (tmp_path / "state" / "file").write_bytes(PLAIN_TEXT * 4096)
    await disk.adopt(key, "a1b2c3")
    await disk.close()
    for offset in range(8 << 20, 200 << 20, 1 << 20):
        raw.write(offset, b"flipped!")
    await disk.open(key)
    with pytest.raises((PermanentError, OSError)):  # noqa: PT012 - which of them depends on what was hit
        await disk.mount()
        (tmp_path / "state" / "file").read_bytes()
        raise OSError(output_of("dmesg")) if "INTEGRITY" in output_of("dmesg") else AssertionError


async def test_a_larger_disk_is_taken_whole(disk: StateDisk, key: Secret, raw: RawDisk, tmp_path: Path) -> None:
    await disk.prepare()
    await disk.adopt(key, "a1b2c3")
    await disk.close()
    with raw.file.open("r+b") as stream:
        stream.truncate(640 << 20)
    output_of("losetup", "--set-capacity", raw.device)
    await disk.open(key)
    await disk.mount()
    before = os.statvfs(tmp_path / "state").f_blocks
    await disk.grow()
    assert os.statvfs(tmp_path / "state").f_blocks > 2 * before
    await disk.close()
    await disk.open(key)
    output_of("e2fsck", "-f", "-n", "/dev/mapper/test")


async def test_every_part_of_a_disk_that_was_not_wiped_can_be_used(
    raw: RawDisk, disk: StateDisk, tmp_path: Path
) -> None:
    with raw.file.open("r+b") as stream:
        stream.truncate(4 << 30)
    output_of("losetup", "--set-capacity", raw.device)
    await disk.prepare()
    await disk.mount()
    output_of("dmesg", "--clear")
    state = tmp_path / "state"
    for number in range(64):  # folders next to one another go to different groups of blocks
        (state / f"{number}" / "inner").mkdir(parents=True)
        (state / f"{number}" / "file").write_text("text")
    with (state / "large").open("wb") as stream:
        os.posix_fallocate(stream.fileno(), 0, os.statvfs(state).f_bavail * 4096 - (8 << 20))
    output_of("sync")
    await file_system.unmount(state, disk._binds)
    output_of("e2fsck", "-f", "-n", "/dev/mapper/test")
    await disk.mount()
    shutil.rmtree(state / "7")
    assert "EXT4-fs error" not in output_of("dmesg")


def prepared(disk: StateDisk) -> _Prepared:
    assert disk._prepared is not None
    return disk._prepared
