# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A TPM quote with its signature and registers in one JSON file, as guest tools of Azure write it.

{"message": hex of TPMS_ATTEST, "signature": hex of a bare RSASSA signature or of a TPMT_SIGNATURE, "pcrs": [hex, …]}
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from attestation.errors import MalformedError
from attestation.tpm.signature import rsassa_signature
from constellation_cli.mapping import parse_mapping

KEYS: Final = frozenset({"message", "signature", "pcrs"})
MAX_REGISTERS: Final = 24
_BARE_SIGNATURES: Final = (256, 384, 512)  # bytes; a TPMT_SIGNATURE has a header and is longer


@dataclass(frozen=True, slots=True)
class QuoteBundle:
    """A quote and what belongs to it.

    Attributes:
        attest: TPMS_ATTEST.
        signature: TPMT_SIGNATURE.
        pcrs: SHA-256 bank, index → value.
    """

    attest: bytes
    signature: bytes
    pcrs: dict[int, bytes]


def parse_quote_bundle(data: bytes) -> QuoteBundle:
    """Read such a file.

    Raises:
        MalformedError: it is none.
    """
    record = parse_mapping(data)
    pcrs = record.get("pcrs")
    if not isinstance(pcrs, list) or not 0 < len(pcrs) <= MAX_REGISTERS:
        raise MalformedError(f"quote: pcrs is not a list of 1 to {MAX_REGISTERS} values")
    signature = _hexadecimal(record.get("signature"), "signature")
    return QuoteBundle(
        attest=_hexadecimal(record.get("message"), "message"),
        signature=rsassa_signature(signature) if len(signature) in _BARE_SIGNATURES else signature,
        pcrs={index: _hexadecimal(value, f"pcrs[{index}]") for index, value in enumerate(pcrs)},
    )


def _hexadecimal(text: object, name: str) -> bytes:
    if not isinstance(text, str) or not re.fullmatch(r"(?:[0-9a-fA-F]{2})+", text):
        raise MalformedError(f"quote: {name} is not hexadecimal text")
    return bytes.fromhex(text)
