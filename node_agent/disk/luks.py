# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Headers in memory, and what `cryptsetup` does with them: cryptsetup(8), "detached header".

A header is read from the disk once, or never yet written to it. In between it is a file in memory that nobody else has:
what was checked is what is opened.

Our keys are 32 uniformly random bytes. Nobody tries all of them, however fast a try is, so stretching them would only
cost time: PBKDF2 with the least count that LUKS2 allows. (Argon2id is for passphrases, which people choose.)
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from node_agent.disk.allowed import DATA_OFFSET, ITERATIONS, KEY_SLOTS_SIZE, LABEL, SECTOR_SIZE, SLOT, TOKEN_TYPE
from node_agent.disk.descriptors import path_of, readable
from node_agent.disk.header import COPY_SIZE
from node_agent.errors import PermanentError
from node_agent.programs import run
from node_agent.sealing import seal

if TYPE_CHECKING:
    from uuid import UUID

    from constellation_core.keys.secret import Secret

MAPPINGS: Final = Path("/dev/mapper")
KEY_LENGTH: Final = 32
WRONG_KEY: Final = 2
"""Code of `cryptsetup` when no key slot opens."""

_SECTOR: Final = 512  # bytes, the unit of cryptsetup's own options
_XTS_BITS: Final = 512
_THROW_AWAY_SLOT: Final = "0"
_STRETCHING: Final = ("--pbkdf", "pbkdf2", "--pbkdf-force-iterations", str(ITERATIONS), "--hash", "sha256")
_FROM_STDIN: Final = ("--key-file", "-", "--keyfile-size", str(KEY_LENGTH))


class HeaderInMemory:
    """A LUKS2 header that is nowhere but in memory.

    Args:
        content: its first bytes; the rest of the area before the data is zero.
    """

    def __init__(self, content: bytes = b"") -> None:
        self._file = os.memfd_create("luks-header", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self._file, DATA_OFFSET)
        os.pwrite(self._file, content, 0)

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Forget it."""
        self.forget()

    def forget(self) -> None:
        """Give the memory back."""
        os.close(self._file)

    def content(self) -> bytes:
        """Give everything that stands before the data."""
        return os.pread(self._file, DATA_OFFSET, 0)

    def seal(self) -> None:
        """Let nobody change it, not even ourselves."""
        seal(self._file)

    async def format(self, device: Path, key: Secret, uuid: UUID) -> None:
        """Make a new header, and an area for data in which nothing can be read before it is written.

        Args:
            device: of the data.
            key: for the throw-away slot.
            uuid: of the disk.
        """
        how = ("--cipher", "aes-xts-plain64", "--key-size", str(_XTS_BITS), "--integrity", "hmac-sha256")
        where = ("--offset", str(DATA_OFFSET // _SECTOR), "--sector-size", str(SECTOR_SIZE), "--integrity-no-wipe")
        sizes = ("--luks2-metadata-size", str(COPY_SIZE), "--luks2-keyslots-size", str(KEY_SLOTS_SIZE))
        names = ("--uuid", str(uuid), "--label", LABEL)
        options = (*how, *where, *sizes, *names, "--key-slot", _THROW_AWAY_SLOT, *_STRETCHING, *_FROM_STDIN)
        await self._cryptsetup("luksFormat", *options, "--header", self._path, str(device), stdin=_bytes(key))

    async def add_key(self, old: Secret, new: Secret) -> None:
        """Add the slot of the real key."""
        _bytes(new)
        options = (*_STRETCHING, *_FROM_STDIN, "--new-key-slot", SLOT, "--new-keyfile-size", str(KEY_LENGTH))
        with readable(new) as descriptor:
            words = ("luksAddKey", *options, self._path, path_of(descriptor))
            await self._cryptsetup(*words, stdin=_bytes(old), descriptors=(descriptor,))

    async def remove_throw_away_key(self) -> None:
        """Destroy the slot of the throw-away key."""
        await self._cryptsetup("luksKillSlot", self._path, _THROW_AWAY_SLOT)

    async def name_cluster(self, cluster: str) -> None:
        """Say whose disk it is."""
        token = {"type": TOKEN_TYPE, "keyslots": [], "initialized": True, "cluster": cluster}
        await self._cryptsetup("token", "import", "--token-id", "0", self._path, stdin=json.dumps(token).encode())

    async def try_key(self, key: Secret) -> None:
        """See that a key opens it.

        Raises:
            ProgramError: it does not.
        """
        await self._cryptsetup("open", "--test-passphrase", *_FROM_STDIN, self._path, stdin=_bytes(key))

    async def open(self, device: Path, name: str, key: Secret) -> None:
        """Open a device by this header; what the device says of itself is not read.

        Args:
            device: of the data.
            name: of the mapping below /dev/mapper.
            key: for one of the slots.

        Raises:
            ProgramError: with code `WRONG_KEY`, no slot opens.
        """
        await self._cryptsetup("open", *_FROM_STDIN, "--header", self._path, str(device), name, stdin=_bytes(key))

    @property
    def _path(self) -> str:
        return path_of(self._file)

    async def _cryptsetup(self, *words: str, stdin: bytes = b"", descriptors: tuple[int, ...] = ()) -> None:
        command = ("cryptsetup", "--batch-mode", "--type", "luks2", *words)
        await run(command, stdin=stdin, descriptors=(self._file, *descriptors))


def _bytes(key: Secret) -> bytes:
    """Give the bytes of a key of the right length: `cryptsetup` would take a part of a longer one."""
    if len(key.reveal()) != KEY_LENGTH:
        raise PermanentError(f"expected a key of {KEY_LENGTH} bytes for a state disk, got {len(key.reveal())}")
    return key.reveal()


async def close(name: str) -> None:
    """Close a mapping, and what killed programs left of one; nothing where there is none."""
    if (MAPPINGS / name).exists():
        await run(("cryptsetup", "close", name))
    for left in (MAPPINGS / f"{name}_dif", *MAPPINGS.glob("temporary-cryptsetup-*")):
        if left.exists():
            await run(("dmsetup", "remove", "--retry", left.name))
