# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A secret in memory that does not get out by accident.

It has no copy in `repr`, logs, exceptions, pickles and JSON. To use the bytes is a deliberate act: `reveal()`.
"""

from __future__ import annotations

import hmac
import secrets
from typing import Final, NoReturn, final

SHOWN: Final = "<secret>"


@final
class Secret:
    """Bytes that are shown as `<secret>`.

    Two secrets compare in constant time. A secret has no length, no hash and no order for others to see.

    Args:
        value: the bytes; must not be empty.
    """

    __slots__ = ("_value",)
    _value: bytes
    __hash__ = None  # type: ignore[assignment] # a hash would tell whether two are equal

    def __init__(self, value: bytes) -> None:
        if not value or type(value) is not bytes:
            del value  # a traceback that shows local variables would show it
            raise TypeError("a secret is made of bytes, and is not empty")
        object.__setattr__(self, "_value", value)

    @classmethod
    def random(cls, length: int) -> Secret:
        """Make a new one of `length` bytes from the operating system's generator."""
        return cls(secrets.token_bytes(length))

    def reveal(self) -> bytes:
        """Give the bytes."""
        return self._value

    def __eq__(self, other: object) -> bool:
        """Compare in constant time."""
        return isinstance(other, Secret) and hmac.compare_digest(self.reveal(), other.reveal())

    def __repr__(self) -> str:
        """Show nothing."""
        return SHOWN

    def __format__(self, _spec: str) -> str:
        """Show nothing, whatever the format."""
        return SHOWN

    def __setattr__(self, _name: str, _value: object) -> NoReturn:
        """Refuse: a secret does not change."""
        raise AttributeError("a secret does not change")

    def __delattr__(self, _name: str) -> NoReturn:
        """Refuse: a secret does not change."""
        raise AttributeError("a secret does not change")

    def __getstate__(self) -> NoReturn:
        """Refuse to give the bytes to whatever pickles or copies: Python's own would."""
        raise TypeError("a secret is not pickled and not copied")

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        """Refuse to be pickled or copied."""
        raise TypeError("a secret is not pickled and not copied")
