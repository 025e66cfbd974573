# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Values of registers in words, one mapping for each bank."""

from __future__ import annotations

from typing import Any

from constellation_cli.registers import parse_registers


def describe_registers(data: bytes) -> dict[str, Any]:
    """Put values of registers into words.

    Raises:
        MalformedError: a value is no digest.
    """
    banks = parse_registers(data)
    return {bank: {str(index): value.hex() for index, value in values.items()} for bank, values in banks.items()}
