# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What the header of a state disk may say: what ours say, field by field, and not one field more.

Whoever has the disk in his hands can write any header. LUKS2 protects the key by the header, not the header: one that
names a null cipher for a key slot opens with *any* key, a second segment or a segment of type "linear" lets plain text
appear beside what is encrypted, re-encryption under way turns encryption off step by step (GHSA-hq76-6gh2-5g4q, 2025).
So there is no list of what is dangerous, but one of what is written by `cryptsetup` of this image when we ask it to.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from node_agent.disk.header import Header

LABEL: Final = "constellation-state"
TOKEN_TYPE: Final = "constellation-state-disk"  # noqa: S105 - LUKS2 calls it a token
KEY_SIZE: Final = 96
"""Bytes of the volume key: two halves for XTS with AES-256, one for HMAC-SHA-256."""
SECTOR_SIZE: Final = 4096
DATA_OFFSET: Final = 2 << 20
"""Bytes before the encrypted area."""
KEY_SLOTS_SIZE: Final = 1 << 20
"""Room for two slots: the real one is made while the throw-away one is there."""
SLOT: Final = "1"
"""Of the real key; the throw-away key had 0."""
ITERATIONS: Final = 1000  # the least of LUKS2: see `luks.py`

_SLOT_SIZE: Final = 385024  # 4000 stripes of the key, in whole blocks
_RANDOM_SIZE: Final = 32


def _is_random(value: object) -> bool:
    """Whether it is 32 bytes in Base64."""
    try:
        return isinstance(value, str) and len(b64decode(value, validate=True)) == _RANDOM_SIZE
    except (binascii.Error, ValueError):
        return False


def _is_short_id(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[0-9a-z-]{1,64}", value) is not None


_METADATA: Final[dict[str, Any]] = {
    "keyslots": {
        SLOT: {
            "type": "luks2",
            "key_size": KEY_SIZE,
            "af": {"type": "luks1", "stripes": 4000, "hash": "sha256"},
            "area": {
                "type": "raw",
                "offset": str(32768 + _SLOT_SIZE),
                "size": str(_SLOT_SIZE),
                "encryption": "aes-xts-plain64",
                "key_size": 64,
            },
            "kdf": {"type": "pbkdf2", "hash": "sha256", "iterations": ITERATIONS, "salt": _is_random},
        }
    },
    "tokens": {"0": {"type": TOKEN_TYPE, "keyslots": [], "initialized": True, "cluster": _is_short_id}},
    "segments": {
        "0": {
            "type": "crypt",
            "offset": str(DATA_OFFSET),
            "size": "dynamic",
            "iv_tweak": "0",
            "encryption": "aes-xts-plain64",
            "sector_size": SECTOR_SIZE,
            "integrity": {"type": "hmac(sha256)", "journal_encryption": "none", "journal_integrity": "none"},
        }
    },
    "digests": {
        "0": {
            "type": "pbkdf2",
            "keyslots": [SLOT],
            "segments": ["0"],
            "hash": "sha256",
            "iterations": ITERATIONS,
            "salt": _is_random,
            "digest": _is_random,
        }
    },
    "config": {"json_size": "12288", "keyslots_size": str(KEY_SLOTS_SIZE)},
}
"""Field → what it must be, or a test of it."""


def mismatches(header: Header) -> list[str]:
    """Compare a header with the only one that we write.

    Returns:
        Every difference: where, what was expected, what came. Empty where there is none.
    """
    facts = {"label": header.label, "subsystem": header.subsystem, "metadata": header.metadata}
    return list(_differences(facts, {"label": LABEL, "subsystem": "", "metadata": _METADATA}, ""))


def _differences(got: object, expected: object, where: str) -> Iterator[str]:
    if isinstance(expected, dict) and isinstance(got, dict):
        for name in sorted(expected.keys() | got.keys()):
            place = f"{where}.{name:.40}".removeprefix(".").removeprefix("metadata.")
            if name not in expected:
                yield f"{place}: not expected"
            elif name not in got:
                yield f"{place}: missing"
            else:
                yield from _differences(got[name], expected[name], place)
    elif not _fits(got, expected):
        shown = "32 random bytes" if expected is _is_random else expected
        shown = "a short id" if expected is _is_short_id else shown
        yield f"{where}: expected {shown!r}, got {got!r:.80}"


def _fits(got: object, expected: Callable[[object], bool] | object) -> bool:
    # 1 == True == 1.0 in Python, and not in what reads the header after us
    return expected(got) if callable(expected) else type(got) is type(expected) and got == expected
