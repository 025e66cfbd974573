# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The certificates that a host hands to a guest beside its report: a table of GUIDs, then the certificates.

After AMD 56421 (GHCB specification), "SNP Extended Guest Request". The host is nobody we trust: it chooses these bytes,
and a verifier checks every certificate. GUIDs are written as RFC 4122 has them; some hosts write them as EFI does, so
both are read.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Final
from uuid import UUID

from attestation.errors import MalformedError
from attestation.reader import Reader

MAX_SIZE: Final = 64 * 1024  # bytes; the kernel's buffer has 16 KiB
MAX_ENTRIES: Final = 32
ENTRY_SIZE: Final = 24
_GUID_SIZE: Final = 16
_END: Final = bytes(ENTRY_SIZE)


class CertificateKind(Enum):
    """What a GUID stands for. An ASVK travels as an ASK."""

    VCEK = UUID("63da758d-e664-4564-adc5-f4b93be8accd")
    VLEK = UUID("a8074bc2-a25a-483e-aae6-39c045a0b8a1")
    ASK = UUID("4ab7b379-bbac-4fe4-a02f-05aef327c782")
    ARK = UUID("c0b406a4-a803-4952-9743-3fb6014cd0ae")
    CRL = UUID("92f81bc3-5811-4d3d-97ff-d19f88dc67ea")


@dataclass(frozen=True, slots=True)
class TableEntry:
    """One entry of the table.

    Attributes:
        guid: 16 bytes as they stand there.
        kind: what it stands for; None if it is not known.
        data: usually a certificate, DER.
    """

    guid: bytes
    kind: CertificateKind | None
    data: bytes


def parse_certificate_table(data: bytes) -> tuple[TableEntry, ...]:
    """Read a certificate table.

    Args:
        data: table and certificates; empty, or all zero, where the host has none.

    Raises:
        MalformedError: too large, cut off, a certificate that lies outside, or two of the same kind.
    """
    if len(data) > MAX_SIZE:
        raise MalformedError(f"certificate table has {len(data)} bytes, at most {MAX_SIZE} are read")
    reader = Reader(data, "certificate table", "little")
    entries: list[TableEntry] = []
    while reader.left and (header := reader.take(ENTRY_SIZE, "entry")) != _END:
        if len(entries) == MAX_ENTRIES:
            raise MalformedError(f"certificate table has more than {MAX_ENTRIES} entries")
        entries.append(_entry(header, data))
    known = [entry.kind for entry in entries if entry.kind is not None]
    if len(known) != len(set(known)):
        raise MalformedError("certificate table has two entries of the same kind")
    return tuple(entries)


def _entry(header: bytes, table: bytes) -> TableEntry:
    fields = Reader(header, "entry of the certificate table", "little")
    guid, offset, length = fields.take(_GUID_SIZE), fields.u32(), fields.u32()
    if offset + length > len(table):
        raise MalformedError(f"certificate table: {length} bytes at {offset:#x} are outside its {len(table)} bytes")
    return TableEntry(guid, _KINDS.get(guid), table[offset : offset + length])


_KINDS: Final = MappingProxyType(
    {kind.value.bytes: kind for kind in CertificateKind} | {kind.value.bytes_le: kind for kind in CertificateKind},
)
