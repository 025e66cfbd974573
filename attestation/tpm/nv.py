# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Non-volatile indexes of a TPM: where certificates, templates and hardware reports of a platform lie.

After TPM 2.0 Library, Part 2 "Structures", 13, and Part 3 "Commands", 31.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntFlag
from typing import TYPE_CHECKING, Final

from attestation.errors import DeviceError
from attestation.reader import Reader
from attestation.tpm.algorithms import HashAlgorithm
from attestation.tpm.client import NO_AUTHORIZATION
from attestation.tpm.commands import Command
from attestation.tpm.structures import Hierarchy, sized

if TYPE_CHECKING:
    from attestation.tpm.client import Tpm

BLOCK: Final = 512  # bytes at once; every PC Client TPM can do that


class NvAttributes(IntFlag):
    """Who may do what with an index (TPMA_NV). Bits that are not named here are kept."""

    OWNER_WRITE = 1 << 1
    AUTH_WRITE = 1 << 2
    OWNER_READ = 1 << 17
    AUTH_READ = 1 << 18
    NO_DA = 1 << 25
    WRITTEN = 1 << 29


@dataclass(frozen=True, slots=True)
class NvPublic:
    """What the TPM says about an index (TPMS_NV_PUBLIC).

    Attributes:
        index: its handle.
        name_algorithm: TPM_ALG_ID of the hash of its Name.
        attributes: who may do what.
        policy: digest of its authorisation policy; may be empty.
        size: bytes that it holds.
    """

    index: int
    name_algorithm: int
    attributes: NvAttributes
    policy: bytes
    size: int

    def to_bytes(self) -> bytes:
        """Give the TPMS_NV_PUBLIC."""
        head = struct.pack(">IHI", self.index, self.name_algorithm, self.attributes)
        return head + sized(self.policy) + struct.pack(">H", self.size)


def nv_read_public(tpm: Tpm, index: int) -> NvPublic:
    """Ask what an index is (TPM2_NV_ReadPublic).

    Raises:
        TpmError: there is no such index.
    """
    response = tpm.execute(Command.NV_READ_PUBLIC, handles=[index])
    reader = Reader(Reader(response.parameters, "TPM2_NV_ReadPublic").sized16("public area"), "NV public area")
    public = NvPublic(
        index=reader.u32("index"),
        name_algorithm=reader.u16("name algorithm"),
        attributes=NvAttributes(reader.u32("attributes")),
        policy=reader.sized16("policy"),
        size=reader.u16("size"),
    )
    reader.end()
    return public


def nv_read(tpm: Tpm, index: int) -> bytes:
    """Read an index to its end (TPM2_NV_Read).

    Raises:
        TpmError: there is no such index, or it may not be read.
    """
    public = nv_read_public(tpm, index)
    authority = Hierarchy.OWNER if NvAttributes.OWNER_READ in public.attributes else index
    data = b""
    while len(data) < public.size:
        response = tpm.execute(
            Command.NV_READ,
            handles=[authority, index],
            authorizations=[NO_AUTHORIZATION],
            parameters=struct.pack(">HH", min(BLOCK, public.size - len(data)), len(data)),
        )
        block = Reader(response.parameters, "TPM2_NV_Read").sized16("data")
        if not block:
            raise DeviceError(f"NV index {index:#010x} ends after {len(data)} of {public.size} bytes")
        data += block
    return data


def nv_write(tpm: Tpm, index: int, data: bytes) -> None:
    """Write an index from its beginning (TPM2_NV_Write).

    Raises:
        TpmError: there is no such index, it is smaller, or it may not be written.
    """
    public = nv_read_public(tpm, index)
    authority = Hierarchy.OWNER if NvAttributes.OWNER_WRITE in public.attributes else index
    for offset in range(0, len(data), BLOCK):
        tpm.execute(
            Command.NV_WRITE,
            handles=[authority, index],
            authorizations=[NO_AUTHORIZATION],
            parameters=sized(data[offset : offset + BLOCK]) + struct.pack(">H", offset),
        )


def nv_define(tpm: Tpm, index: int, size: int) -> None:
    """Define an index that the owner and whoever knows its empty authorisation may read and write.

    TPM2_NV_DefineSpace. Raises `TpmError` if the index is defined already.
    """
    attributes = (
        NvAttributes.OWNER_WRITE
        | NvAttributes.AUTH_WRITE
        | NvAttributes.OWNER_READ
        | NvAttributes.AUTH_READ
        | NvAttributes.NO_DA
    )
    tpm.execute(
        Command.NV_DEFINE_SPACE,
        handles=[Hierarchy.OWNER],
        authorizations=[NO_AUTHORIZATION],
        parameters=sized(b"") + sized(NvPublic(index, HashAlgorithm.SHA256, attributes, b"", size).to_bytes()),
    )


def nv_undefine(tpm: Tpm, index: int) -> None:
    """Remove an index of the owner (TPM2_NV_UndefineSpace)."""
    tpm.execute(Command.NV_UNDEFINE_SPACE, handles=[Hierarchy.OWNER, index], authorizations=[NO_AUTHORIZATION])
