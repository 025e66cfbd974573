# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A node's state disk, from an empty device to mounted folders; `node_agent.parts.StateDisk` for real devices.

disk = StateDisk(Path("/dev/disk/by-id/virtio-constellation-state"))
state = await disk.examine()
if state.kind.may_be_formatted:
uuid = await disk.prepare()       # while the node waits
await disk.mount()
await disk.adopt(key, "a1b2c3")   # when its cluster knows it
else:
await disk.open(key)
await disk.mount()
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from attestation.errors import MalformedError
from constellation_core.keys.secret import Secret
from node_agent.disk import device as block_device
from node_agent.disk import file_system, luks
from node_agent.disk.allowed import mismatches
from node_agent.disk.file_system import BINDS
from node_agent.disk.header import parse_header
from node_agent.disk.luks import HeaderInMemory
from node_agent.errors import PermanentError, ProgramError

if TYPE_CHECKING:
    from uuid import UUID

    from node_agent.parts import DiskState

_REFUSED: Final = "somebody changed the disk: trust nothing on it, attach an empty one and let the node join anew"


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A disk under its throw-away key: header and key are in memory only."""

    header: HeaderInMemory = field(repr=False)
    key: Secret
    uuid: UUID


class StateDisk:
    """The one encrypted disk of a node.

    Args:
        device: the block device.
        name: of the mapping below /dev/mapper.
        mount_point: where it is mounted.
        binds: folders that are on it.
    """

    def __init__(
        self,
        device: Path,
        *,
        name: str = "constellation-state",
        mount_point: Path = Path("/run/state"),
        binds: tuple[Path, ...] = BINDS,
    ) -> None:
        self._device = device
        self._name = name
        self._mapping = luks.MAPPINGS / name
        self.mount_point = mount_point
        self._binds = binds
        self._prepared: _Prepared | None = None

    async def examine(self) -> DiskState:
        """Look at the device, and change nothing.

        Raises:
            TemporaryError: it is not there.
        """
        return await asyncio.to_thread(block_device.examine, self._device)

    async def prepare(self) -> UUID:
        """Format it under a random key that is nowhere but in memory, and open it.

        Returns:
            LUKS UUID: of the unfinished disk that it was, or a new one.

        Raises:
            PermanentError: what is on the device is not ours to destroy, or it cannot be formatted.
            TemporaryError: the device is not there.
        """
        await self.close()
        state = await self.examine()
        if not state.kind.may_be_formatted:
            raise PermanentError(
                f"expected a state disk that is new or unfinished, got one that is {state.kind.value}"
                + (f": {state.reason}" if state.reason else ""),
                hint="attach an empty disk: this one is left as it is",
            )
        uuid = state.uuid or uuid4()
        await asyncio.to_thread(block_device.put_mark, self._device, uuid)
        self._prepared = prepared = _Prepared(HeaderInMemory(), Secret.random(luks.KEY_LENGTH), uuid)
        await prepared.header.format(self._device, prepared.key, uuid)
        await prepared.header.open(self._device, self._name, prepared.key)
        await file_system.make(self._mapping)
        return uuid

    async def adopt(self, key: Secret, cluster: str) -> None:
        """Add the real key, destroy the random one, and make the disk its cluster's.

        All of it happens to the header in memory. That is written to the disk when it is complete and the key opens it.

        Args:
            key: 32 bytes.
            cluster: short id of the cluster: 1 to 64 of a-z, 0-9 and "-".

        Raises:
            PermanentError: the disk is not prepared, or a step fails; it is unfinished then.
        """
        prepared = self._prepared
        if prepared is None:
            raise PermanentError("expected a disk that was prepared since this program started", hint="reboot the node")
        header = prepared.header
        await header.add_key(prepared.key, key)
        await header.remove_throw_away_key()
        await header.name_cluster(cluster)
        await header.try_key(key)
        _check(header.content())
        await asyncio.to_thread(block_device.put_header, self._device, header.content())
        self._forget()

    async def open(self, key: Secret) -> None:
        """Open a disk that was adopted.

        1. The header is copied into memory, once, and sealed there (attack: the host shows one header to who checks it
           and another one to who opens the disk).
        2. Both copies in it are whole, and say what our headers say, and nothing else (attack: null cipher, plain
           segments, re-encryption: see `allowed.py`).
        3. The disk is opened by that copy, with the key of this disk (attack: a header made by somebody who does not
           know the key; a disk of another cluster).
        4. Where the device has more room than it had, it is opened again: the kernel has taken the room by then.

        Raises:
            PermanentError: the key is another disk's, or the header is not one that we would have written.
            TemporaryError: the device is not there.
        """
        await self.close()
        area = await asyncio.to_thread(block_device.read_header_area, self._device)
        with HeaderInMemory(area) as header:
            header.seal()  # 1
            _check(header.content())  # 2
            await self._open(header, key)  # 3
            if await asyncio.to_thread(self._has_more_room):  # 4
                await luks.close(self._name)
                await self._open(header, key)

    async def mount(self) -> None:
        """Mount the open disk, and bind its folders to where programs look for them.

        Raises:
            PermanentError: it cannot be mounted.
        """
        await file_system.unmount(self.mount_point, self._binds)
        await file_system.mount(self._mapping, self.mount_point, self._binds)

    async def grow(self) -> None:
        """Let the mounted file system take all room that the open disk has.

        Raises:
            PermanentError: it cannot.
        """
        await file_system.grow(self._mapping)

    async def close(self) -> None:
        """Unmount and close it, and forget its key; nothing where it is not open.

        Raises:
            PermanentError: somebody still uses it.
        """
        self._forget()
        await file_system.unmount(self.mount_point, self._binds)
        await luks.close(self._name)

    async def _open(self, header: HeaderInMemory, key: Secret) -> None:
        try:
            await header.open(self._device, self._name, key)
        except ProgramError as error:
            if error.code == luks.WRONG_KEY:
                raise PermanentError("the key does not open this state disk: it is another disk's") from None
            raise

    def _has_more_room(self) -> bool:
        return block_device.room(self._device) > block_device.size(self._mapping)

    def _forget(self) -> None:
        if self._prepared is not None:
            self._prepared.header.forget()
            self._prepared = None


def _check(area: bytes) -> None:
    """See that a header is one that we write.

    Raises:
        PermanentError: it is not; with every difference.
    """
    try:
        header = parse_header(area)
    except MalformedError as error:
        raise PermanentError(f"the header of the state disk is refused: {error}", hint=_REFUSED) from None
    if found := mismatches(header):
        raise PermanentError(f"the header of the state disk is refused: {'; '.join(found)}", hint=_REFUSED)
