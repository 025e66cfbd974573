# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What is on the device of a state disk, and the writes that change what it is.

    nothing → mark (`mark.py`) → header of LUKS2
      NEW      UNFINISHED          INITIALIZED

Each arrow is one write of one block, after everything else is on the disk. So whenever the power goes, the device is
one of the three. The header appears when the real key is the only one that opens it: there is no disk that its cluster
cannot open and that nobody may format. Anything else on a device is FOREIGN, and nothing here writes to it.
"""

from __future__ import annotations

import mmap
import os
import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from attestation.errors import MalformedError
from node_agent.disk.allowed import DATA_OFFSET, LABEL, TOKEN_TYPE
from node_agent.disk.header import MAGIC, Header, parse_header
from node_agent.disk.mark import BLOCK_SIZE, read_mark, write_mark
from node_agent.errors import PermanentError, TemporaryError
from node_agent.parts import DiskKind, DiskState

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from uuid import UUID

SMALLEST: Final = 256 << 20
"""Bytes; journals of file system and integrity take half of that."""

_LOOK: Final = 4 << 20  # bytes at both ends: partition tables, file systems and RAIDs have their marks there
_SECTOR: Final = 512
_SUPERBLOCK: Final = struct.Struct("<8sBBHIQ")
_PAUSE: Final = 1.0  # seconds until a device that is not there may be


def examine(device: Path) -> DiskState:
    """Look at a device, and change nothing.

    Raises:
        TemporaryError: it is not there.
    """
    with _opened(device, os.O_RDONLY) as file:
        size = os.lseek(file, 0, os.SEEK_END)
        if size < SMALLEST:
            reason = f"it has {size >> 20} MiB, a state disk needs {SMALLEST >> 20}"
            return DiskState(DiskKind.FOREIGN, reason=reason)
        start, end = os.pread(file, _LOOK, 0), os.pread(file, _LOOK, size - _LOOK)
    if uuid := read_mark(start[:BLOCK_SIZE]):
        return DiskState(DiskKind.UNFINISHED, uuid, reason="no cluster has adopted it")
    if start.startswith(MAGIC):
        return _examine_header(start)
    if any(start) or any(end):
        return DiskState(DiskKind.FOREIGN, reason="it is neither empty nor formatted by a node")
    return DiskState(DiskKind.NEW)


def _examine_header(start: bytes) -> DiskState:
    try:
        header = parse_header(start)
    except MalformedError as error:
        return DiskState(DiskKind.FOREIGN, reason=str(error))
    token = our_token(header)
    if token is None:
        return DiskState(DiskKind.FOREIGN, header.uuid, reason="it is encrypted, and not by a node")
    cluster = token.get("cluster")
    # Whether the rest of the header is as it must be, `open` asks; here it says only that it is never formatted.
    return DiskState(DiskKind.INITIALIZED, header.uuid, cluster if isinstance(cluster, str) else "")


def our_token(header: Header) -> dict[str, Any] | None:
    """Give the token that makes a disk ours; None where there is none."""
    tokens = [token for token in header.tokens.values() if isinstance(token, dict)]
    ours = [token for token in tokens if token.get("type") == TOKEN_TYPE]
    return ours[0] if ours and header.label == LABEL else None


def put_mark(device: Path, uuid: UUID) -> None:
    """Say on the device that what is on it is worthless.

    Args:
        device: a new or unfinished one.
        uuid: that the disk will have.
    """
    with _opened(device, os.O_WRONLY) as file:
        os.pwrite(file, write_mark(uuid), 0)
        os.fsync(file)


def read_header_area(device: Path) -> bytes:
    """Read everything that stands before the data."""
    with _opened(device, os.O_RDONLY) as file:
        return os.pread(file, DATA_OFFSET, 0)


def put_header(device: Path, area: bytes) -> None:
    """Write a header, its first block last: with that block the disk becomes its cluster's.

    Args:
        device: one with a mark.
        area: everything that stands before the data.
    """
    with _opened(device, os.O_WRONLY) as file:
        os.pwrite(file, area[BLOCK_SIZE:], BLOCK_SIZE)
        os.fsync(file)
        os.pwrite(file, area[:BLOCK_SIZE], 0)
        os.fsync(file)


def size(device: Path) -> int:
    """Give the bytes of a block device."""
    with _opened(device, os.O_RDONLY) as file:
        return os.lseek(file, 0, os.SEEK_END)


def room(device: Path) -> int:
    r"""Give the bytes that dm-integrity offers on a device, by its superblock: drivers/md/dm-integrity.c of Linux.

        magic "integrt\0" | version 1 | log2 of the interleave 1 | tag size 2 | journal sections 4 | sectors 8

    The kernel writes there what fits on the device whenever it is activated. Nothing believes it but the kernel, which
    checks it: a lie makes the disk unreadable, as would any other scratch.
    """
    # Past the cache of this device, which does not see what dm-integrity writes; so the memory has to be aligned.
    with _opened(device, os.O_RDONLY | os.O_DIRECT) as file, mmap.mmap(-1, mmap.PAGESIZE) as page:
        os.preadv(file, [page], DATA_OFFSET)
        superblock = page[: _SUPERBLOCK.size]
    *_, sectors = _SUPERBLOCK.unpack(superblock)
    return int(sectors) * _SECTOR


@contextmanager
def _opened(device: Path, mode: int) -> Iterator[int]:
    try:
        file = os.open(device, mode | os.O_CLOEXEC)
    except FileNotFoundError:
        raise TemporaryError(f"there is no {device}", delay=_PAUSE, hint="attach a state disk") from None
    except OSError as error:
        raise PermanentError(f"{device} cannot be opened: {error.strerror}") from None
    try:
        yield file
    except OSError as error:
        raise PermanentError(f"{device} cannot be read or written: {error.strerror}") from None
    finally:
        os.close(file)
