# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Records that say "this was verified", and that nothing but a verification can make.

Only modules named `verify` import `SEAL` (a test reads every import): whoever holds a `Proof` holds the result of
checks that ran.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from typing import Final, NoReturn

SEAL: Final = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Base of what the verify step of a technology returns.

    Attributes:
        vouchers: who vouches, root first ("AMD ARK-Milan", "VCEK of chip 3ac3fe21…"); empty only for `insecure`.
        seal: `SEAL`, to be had in verify modules only.
    """

    vouchers: tuple[str, ...]
    seal: InitVar[object]  # not kept: `dataclasses.replace` must not make new proofs out of old ones

    def __post_init__(self, seal: object) -> None:
        """Refuse to exist without the seal."""
        if seal is not SEAL:
            message = f"{type(self).__name__} is the result of a verification and cannot be constructed"
            raise TypeError(message)

    def __reduce__(self) -> NoReturn:
        """Refuse pickles: reading one would make a proof that nothing verified."""
        message = f"{type(self).__name__} cannot be pickled: verify the evidence where the result is needed"
        raise TypeError(message)
