# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
r"""dm-verity: does a partition hold what a root hash promises?

After "dm-verity" (Linux documentation) and "dm-verity on-disk specification" of cryptsetup, version 1:

    offset 0    "verity\0\0" | version 1 | type of hashes 1 | UUID | algorithm, 32 | size of a data block
                | size of a hash block | number of data blocks, u64 | size of the salt, u16 | 6 reserved | salt, 256
    next block  the tree, from its top: each block holds hashes of the blocks below

Each hash is of salt and block. The root hash is that of the top block, and stands on the kernel's command line.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from attestation.errors import MalformedError
from attestation.reader import Reader

DIGEST: Final = 32  # bytes
_WHAT: Final = "dm-verity superblock"
_SUPERBLOCK: Final = 512  # bytes
_BLOCKS: Final = (512, 1024, 2048, 4096)  # bytes: what Linux takes on x86
_MAX_SALT: Final = 256


@dataclass(frozen=True, slots=True)
class Verity:
    """The superblock.

    Attributes:
        blocks: number of data blocks.
        block_size: bytes of a block of data.
        hash_block_size: bytes of a block of hashes.
        salt: before every block.
    """

    blocks: int
    block_size: int
    hash_block_size: int
    salt: bytes

    @property
    def data_size(self) -> int:
        """Bytes that are protected."""
        return self.blocks * self.block_size


def parse_verity(hashes: memoryview) -> Verity:
    """Read the superblock of a partition with hashes.

    Raises:
        MalformedError: it is none, or of a kind that we do not make: SHA-256 over blocks of up to 4096 bytes.
    """
    reader = Reader(bytes(hashes[:_SUPERBLOCK]), _WHAT, "little")
    reader.expect(b"verity\0\0", reader.take(8, "signature"), "signature")
    reader.expect(1, reader.u32("version"), "version")
    reader.expect(1, reader.u32("type of hashes"), "type of hashes")
    reader.take(16, "UUID")
    reader.expect(b"sha256", reader.take(32, "algorithm").rstrip(b"\0"), "algorithm")
    block_size, hash_block_size = reader.u32("size of a data block"), reader.u32("size of a hash block")
    blocks, salt_size = reader.u64("number of blocks"), reader.u16("size of the salt")
    reader.take(6, "reserved")
    if not blocks or salt_size > _MAX_SALT or not {block_size, hash_block_size} <= {*_BLOCKS}:
        raise MalformedError(
            f"{_WHAT}: {blocks} blocks of {block_size} bytes, hashes in blocks of {hash_block_size}, "
            f"a salt of {salt_size} bytes"
        )
    return Verity(blocks, block_size, hash_block_size, reader.take(salt_size, "salt"))


def compute_root_hash(data: memoryview, hashes: memoryview) -> bytes:
    """Hash a partition, and see that its tree says the same.

    Args:
        data: the partition that is protected.
        hashes: the partition with superblock and tree.

    Returns:
        The root hash.

    Raises:
        MalformedError: a partition is too short, or a block is not the one that was hashed; says which.
    """
    verity = parse_verity(hashes)
    if verity.data_size > len(data):
        raise MalformedError(f"dm-verity protects {verity.data_size} bytes, the partition has {len(data)}")
    if verity.blocks == 1:  # then there is no tree
        return hashlib.sha256(verity.salt + data[: verity.data_size]).digest()
    size = verity.hash_block_size
    levels = [_hash_blocks(data[: verity.data_size], verity.block_size, verity)]
    while len(levels[-1]) > size:
        levels.append(_hash_blocks(memoryview(levels[-1]), size, verity))
    end = -(-_SUPERBLOCK // size) * size + sum(map(len, levels))
    for level in levels:  # the top of the tree comes first, but a changed block of data is what people want to know
        _compare(level, hashes[end - len(level) : end], is_lowest=level is levels[0])
        end -= len(level)
    return hashlib.sha256(verity.salt + levels[-1]).digest()


def _hash_blocks(data: memoryview, size: int, verity: Verity) -> bytes:
    """Hash block by block, and fill up the last block of hashes with zeros."""
    salted = hashlib.sha256(verity.salt)
    level = bytearray()
    for start in range(0, len(data), size):
        block = salted.copy()
        block.update(data[start : start + size])
        level += block.digest()
    return bytes(level) + bytes(-len(level) % verity.hash_block_size)


def _compare(computed: bytes, stored: memoryview, *, is_lowest: bool) -> None:
    if stored == computed:
        return
    starts = range(0, len(computed), DIGEST)
    wrong = [start // DIGEST for start in starts if stored[start : start + DIGEST] != computed[start : start + DIGEST]]
    what = "block" if is_lowest else "block of hashes"
    raise MalformedError(
        f"the root does not fit its hashes: {what} {wrong[0]} was changed, and {len(wrong) - 1} more",
        hint="a machine would not start from this disk: copy or build it again",
    )
