# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The vendor keys that everything hangs on, pinned by the SHA-256 of their SubjectPublicKeyInfo.

The pins are the trust; certificates are only carriers of keys, wherever they come from. Values: AMD's key
distribution service (`/vcek/v1/{product}/cert_chain`), Intel's provisioning certification service, checked against
independent copies when they were entered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Roots:
    """Whom to believe.

    Attributes:
        amd: SPKI SHA-256 of the ARK of each product line, lower-case hex.
        intel: SPKI SHA-256 of the SGX root CA, lower-case hex.
    """

    amd: frozenset[str]
    intel: frozenset[str]


VENDOR_ROOTS: Final = Roots(
    amd=frozenset(
        {
            "9f056bee44377e29308cb5ffa895bdfb62d18881fa6bed8d6f075b0204089cb9",  # ARK-Milan
            "429a69c9422aa258ee4d8db5fcda9c6470ef15f8cd5a9cebd6cbc7d90b863831",  # ARK-Genoa
            "4f125410563a2ab9a50356f9243f6fe0b6f73de98603f53f90339c70e9d7ad08",  # ARK-Turin
        },
    ),
    intel=frozenset(
        {
            "a0af031289f5d5d4132f9186068a7fc13628633ba235777472e29b6b6c67a49e",  # Intel SGX Root CA
        },
    ),
)
