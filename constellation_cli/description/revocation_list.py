# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Revocation lists in words (RFC 5280, 5)."""

from __future__ import annotations

from itertools import islice
from typing import Any, Final

from cryptography import x509

from constellation_cli.description.certificate import reading
from constellation_cli.description.words import moment

MAX_SHOWN: Final = 1000  # entries


def describe_list(data: bytes) -> dict[str, Any]:
    """Put a list, DER or PEM, into words.

    Raises:
        MalformedError: it is none.
    """
    with reading(f"revocation list of {len(data)} bytes"):
        pem = b"-----BEGIN" in data
        return _describe(x509.load_pem_x509_crl(data) if pem else x509.load_der_x509_crl(data))


def _describe(revocations: x509.CertificateRevocationList) -> dict[str, Any]:
    end = revocations.next_update_utc
    return {
        "issuer": revocations.issuer.rfc4514_string(),
        "last_update": moment(revocations.last_update_utc),
        "next_update": moment(end) if end is not None else None,
        "count": len(revocations),
        "revoked": [
            {"serial": f"{entry.serial_number:#x}", "date": moment(entry.revocation_date_utc)}
            for entry in islice(revocations, MAX_SHOWN)
        ],
    }
