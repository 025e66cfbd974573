# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Values of registers as other tools write them: our own JSON, or the YAML of `tpm2_pcrread`."""

from __future__ import annotations

import re
from typing import Final

from attestation.errors import MalformedError
from constellation_cli.mapping import parse_mapping

SIZES: Final = {"sha1": 20, "sha256": 32, "sha384": 48, "sha512": 64}  # bank → bytes of a value
COUNT: Final = 24


def parse_registers(data: bytes) -> dict[str, dict[int, bytes]]:
    """Read values: bank → index → value. Without the name of a bank they are of SHA-256.

    Raises:
        MalformedError: an index or a value is none.
    """
    record = parse_mapping(data)
    banks = record if record.keys() <= SIZES.keys() else {"sha256": record}
    return {bank: _bank(bank, values) for bank, values in banks.items()}


def _bank(bank: str, values: object) -> dict[int, bytes]:
    if not isinstance(values, dict):
        raise MalformedError(f"registers of bank {bank}: expected index and value")
    return {_index(key): _value(bank, key, value) for key, value in values.items()}


def _index(key: object) -> int:
    text = str(key)
    if not re.fullmatch(r"[0-9]{1,2}", text) or int(text) >= COUNT:
        raise MalformedError(f"registers: {text!r} is not an index from 0 to {COUNT - 1}")
    return int(text)


def _value(bank: str, index: object, value: object) -> bytes:
    digits = str(value).lower().removeprefix("0x")
    if not re.fullmatch(rf"[0-9a-f]{{{2 * SIZES[bank]}}}", digits):
        shown = str(value)[:16]
        raise MalformedError(f"register {index}: expected {2 * SIZES[bank]} hexadecimal digits, got {shown!r}")
    return bytes.fromhex(digits)
