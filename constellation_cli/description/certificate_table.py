# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Certificate tables of SNP hosts in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from attestation.errors import MalformedError
from attestation.snp.certificate_table import CertificateKind, parse_certificate_table
from constellation_cli.description.certificate import describe_certificate

if TYPE_CHECKING:
    from attestation.snp.certificate_table import TableEntry


def describe_table(data: bytes) -> dict[str, Any]:
    """Put a table into words, with the certificates that it holds."""
    return {"entries": [_entry(entry) for entry in parse_certificate_table(data)]}


def _entry(entry: TableEntry) -> dict[str, Any]:
    record = {
        "guid": str(UUID(bytes=entry.guid)),
        "kind": entry.kind.name if entry.kind is not None else "unknown",
        "bytes": len(entry.data),
    }
    if entry.kind in (None, CertificateKind.CRL):
        return record
    try:
        return record | describe_certificate(entry.data)
    except MalformedError as error:
        return record | {"error": str(error)}
