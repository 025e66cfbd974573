# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What Google's firmware logs about the machine: the event "GCE NonHostInfo" in register 0.

32 bytes: a signature, one byte that names the confidential technology, 15 that are reserved. After the constants of
Google's go-tpm-tools, server package. The word is the hypervisor's, not the CPU's.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from attestation.errors import MalformedError

SIGNATURE: Final = b"GCE NonHostInfo\0"
EVENT_TYPE: Final = 0x11  # EV_NONHOST_INFO
REGISTER: Final = 0
SIZE: Final = 32


class ConfidentialTechnology(IntEnum):
    """How the machine's memory is protected."""

    NONE = 0
    SEV = 1
    SEV_ES = 2
    TDX = 3
    SEV_SNP = 4

    def __str__(self) -> str:
        """Give the name as AMD and Intel write it."""
        return "no memory encryption" if self is ConfidentialTechnology.NONE else self.name.replace("_", "-")

    @property
    def encrypts_registers(self) -> bool:
        """Whether it is SEV-ES or its successor: with plain SEV the host reads the registers of the CPU."""
        return self in (ConfidentialTechnology.SEV_ES, ConfidentialTechnology.SEV_SNP)


def parse_host_info(data: bytes) -> ConfidentialTechnology:
    """Read the data of the event.

    Raises:
        MalformedError: another event, another size, or a technology that is not known.
    """
    if len(data) != SIZE or not data.startswith(SIGNATURE):
        raise MalformedError(f"GCE NonHostInfo: expected {SIZE} bytes that begin with {SIGNATURE!r}, got {len(data)}")
    try:
        return ConfidentialTechnology(data[len(SIGNATURE)])
    except ValueError:
        raise MalformedError(f"GCE NonHostInfo: technology {data[len(SIGNATURE)]} is not known") from None


def build_host_info(technology: ConfidentialTechnology) -> bytes:
    """Write the data of the event, as the fake machine of `attestation.testing` logs it."""
    return SIGNATURE + bytes((technology,)).ljust(SIZE - len(SIGNATURE), b"\0")
