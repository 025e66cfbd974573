# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Nitro attestation documents in words."""

from __future__ import annotations

from typing import Any

from attestation.aws.document import parse_document
from constellation_cli.description.certificate import describe_certificate
from constellation_cli.description.words import moment


def describe_document(data: bytes) -> dict[str, Any]:
    """Put a document into words."""
    document = parse_document(data)
    return {
        "module_id": document.module_id,
        "created": moment(document.created),
        "digest": document.digest,
        "registers": {str(index): value.hex() for index, value in document.registers.items()},
        "public_key": document.public_key.hex(),
        "user_data": document.user_data.hex(),
        "nonce": document.nonce.hex(),
        "unknown": list(document.unknown),
        "certificates": [describe_certificate(der) for der in (document.certificate, *reversed(document.authorities))],
    }
