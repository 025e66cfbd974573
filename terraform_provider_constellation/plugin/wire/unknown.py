# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Values that are known after apply only, and what is known about them before: their refinements.

A refinement lets Terraform decide more at plan time: a value that is not null, a text that begins with `https://`.
Terraform sends refinements too (`"node-${resource.id}"` begins with `node-`), and takes it amiss when they get lost: so
they are kept as they came. Source: object-wire-format.md, "Unknown values".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgpack

from terraform_provider_constellation.plugin.errors import UnknownValueError

PLAIN_CODE: Final = 0
REFINED_CODE: Final = 12
_NOT_NULL, _PREFIX, _SHORTEST, _LONGEST = 1, 2, 5, 6


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that nobody knows yet.

    Attributes:
        refinements: what is known about it, a msgpack map as it goes over the wire; nothing if nothing is known.
    """

    refinements: bytes = b""

    def __bool__(self) -> bool:
        """Refuse to be true or false.

        Raises:
            UnknownValueError: always.
        """
        raise UnknownValueError("this value is not known before apply")

    def to_extension(self) -> msgpack.ExtType:
        """As it goes over the wire."""
        if self.refinements:
            return msgpack.ExtType(REFINED_CODE, self.refinements)
        return msgpack.ExtType(PLAIN_CODE, b"\0")


UNKNOWN: Final = Unknown()


def refined(*, not_null: bool = False, prefix: str = "", shortest: int = 0, longest: int | None = None) -> Unknown:
    """An unknown of which something is known.

    Args:
        not_null: it will not be null. Anything else that is said implies this.
        prefix: what the text will begin with.
        shortest: least number of elements of the collection.
        longest: greatest number of elements of the collection.
    """
    known: dict[int, object] = {_NOT_NULL: False} if not_null or prefix or shortest or longest is not None else {}
    known |= {_PREFIX: prefix} if prefix else {}
    known |= {_SHORTEST: shortest} if shortest else {}
    known |= {_LONGEST: longest} if longest is not None else {}
    return Unknown(msgpack.packb(known)) if known else UNKNOWN
