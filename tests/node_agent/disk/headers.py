# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A header as `cryptsetup` 2.7.5 made it for us (recorded in the guest), and a pen to write others like it."""

from __future__ import annotations

import copy
import hashlib
import json
from typing import Any

UUID_TEXT = "adeab87c-37a8-40d5-8108-33e6144fb242"
LABEL = "constellation-state"
COPY_SIZE = 16384
AREA_SIZE = 2 << 20
FIRST_MAGIC = b"LUKS\xba\xbe"
SECOND_MAGIC = b"SKUL\xba\xbe"

_RECORDED: dict[str, Any] = {
    "keyslots": {
        "1": {
            "type": "luks2",
            "key_size": 96,
            "af": {"type": "luks1", "stripes": 4000, "hash": "sha256"},
            "area": {
                "type": "raw",
                "offset": "417792",
                "size": "385024",
                "encryption": "aes-xts-plain64",
                "key_size": 64,
            },
            "kdf": {
                "type": "pbkdf2",
                "hash": "sha256",
                "iterations": 1000,
                "salt": "z04OFZ2rbIsS0PRRXBF9xv9+PXgRAksyoEl597AIEoM=",
            },
        }
    },
    "tokens": {"0": {"type": "constellation-state-disk", "keyslots": [], "initialized": True, "cluster": "abc"}},
    "segments": {
        "0": {
            "type": "crypt",
            "offset": "2097152",
            "size": "dynamic",
            "iv_tweak": "0",
            "encryption": "aes-xts-plain64",
            "sector_size": 4096,
            "integrity": {"type": "hmac(sha256)", "journal_encryption": "none", "journal_integrity": "none"},
        }
    },
    "digests": {
        "0": {
            "type": "pbkdf2",
            "keyslots": ["1"],
            "segments": ["0"],
            "hash": "sha256",
            "iterations": 1000,
            "salt": "ZJdCPMSGrGPd5QwhFaVpOHzqw/T09qRIiAyOxkV18uo=",
            "digest": "DGJgKRUdHneyfxc0jbBT/z8bi+OONNqhomRrUc8+sPY=",
        }
    },
    "config": {"json_size": "12288", "keyslots_size": "1048576"},
}


def recorded() -> dict[str, Any]:
    """Give the JSON object, to be changed."""
    return copy.deepcopy(_RECORDED)


def write_area(metadata: object, *, label: str = LABEL, subsystem: str = "", uuid: str = UUID_TEXT) -> bytes:
    """Write a header with right checksums: whoever has the disk can."""
    text = json.dumps(metadata).encode()
    copies = (
        write_copy(text, magic, offset, label=label, subsystem=subsystem, uuid=uuid)
        for magic, offset in ((FIRST_MAGIC, 0), (SECOND_MAGIC, COPY_SIZE))
    )
    return b"".join(copies).ljust(AREA_SIZE, b"\0")


def write_copy(
    text: bytes, magic: bytes, offset: int, *, label: str = LABEL, subsystem: str = "", uuid: str = UUID_TEXT
) -> bytes:
    """Write one copy of a header, after the table of the specification."""

    def number(value: int, size: int) -> bytes:
        return value.to_bytes(size, "big")

    def words(value: str, size: int) -> bytes:
        return value.encode().ljust(size, b"\0")

    before = magic + number(2, 2) + number(COPY_SIZE, 8) + number(5, 8) + words(label, 48) + words("sha256", 32)
    before += bytes(range(64)) + words(uuid, 40) + words(subsystem, 48) + number(offset, 8) + bytes(184)
    after = bytes(7 * 512) + text.ljust(COPY_SIZE - 4096, b"\0")
    checksum = hashlib.sha256(before + bytes(64) + after).digest()
    return before + checksum.ljust(64, b"\0") + after
