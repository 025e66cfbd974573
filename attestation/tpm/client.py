# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A client of TPM 2.0: keys, registers, quotes, random numbers. It needs no other software.

Whatever is loaded into the TPM is a context manager and is flushed when its block ends, however it ends: swtpm and
hardware without a resource manager have three slots for objects and three for sessions.

After TPM 2.0 Library, Part 3 "Commands"; each method names its command.
"""

from __future__ import annotations

import os
import struct
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from attestation.errors import DeviceError
from attestation.reader import Reader
from attestation.tpm.algorithms import ALG_AES, ALG_CFB, ALG_NULL, HashAlgorithm
from attestation.tpm.commands import Command
from attestation.tpm.connection import Connection
from attestation.tpm.kdf import kdfa
from attestation.tpm.public import name_of, parse_public
from attestation.tpm.quote import SignedQuote
from attestation.tpm.secret_exchange import share_seed
from attestation.tpm.sessions import (
    SESSION_AES_BITS,
    SESSION_HASH,
    Password,
    Session,
    SessionAttributes,
    SessionType,
)
from attestation.tpm.structures import Hierarchy, PcrSelection, read_pcr_selections, sized

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from attestation.tpm.commands import Response

NO_AUTHORIZATION: Final = Password()
NO_PCRS: Final = struct.pack(">I", 0)
RH_NULL: Final = 0x40000007
CAPABILITY_HANDLES: Final = 1
CAPABILITY_PCRS: Final = 5
MAX_HANDLES: Final = 254


@dataclass(frozen=True, slots=True)
class LoadedObject:
    """A key or sealed object that the TPM can use now.

    Attributes:
        handle: its handle.
        public: its TPMT_PUBLIC.
    """

    handle: int
    public: bytes

    @property
    def name(self) -> bytes:
        """Its Name."""
        return name_of(self.public)


class Tpm(Connection):
    """A TPM and its commands."""

    # Objects

    @contextmanager
    def primary(self, hierarchy: Hierarchy, template: bytes) -> Iterator[LoadedObject]:
        """Make the primary key of a template (TPM2_CreatePrimary); the same one each time.

        Args:
            hierarchy: whose seed it grows from.
            template: TPMT_PUBLIC without the key.
        """
        no_sensitive, no_outside_info = sized(sized(b"") + sized(b"")), sized(b"")
        response = self.execute(
            Command.CREATE_PRIMARY,
            handles=[hierarchy],
            authorizations=[NO_AUTHORIZATION],
            parameters=no_sensitive + sized(template) + no_outside_info + NO_PCRS,
            makes_handle=True,
        )
        with self._flushing(response) as handle:
            yield LoadedObject(handle, Reader(response.parameters, "TPM2_CreatePrimary").sized16("public area"))

    @contextmanager
    def load(self, parent: LoadedObject, private: bytes, public: bytes) -> Iterator[LoadedObject]:
        """Load an object that was created under a parent (TPM2_Load).

        Args:
            parent: storage key.
            private: contents of TPM2B_PRIVATE.
            public: TPMT_PUBLIC.
        """
        response = self.execute(
            Command.LOAD,
            handles=[parent.handle],
            authorizations=[NO_AUTHORIZATION],
            parameters=sized(private) + sized(public),
            makes_handle=True,
        )
        with self._flushing(response) as handle:
            yield LoadedObject(handle, public)

    def persistent(self, handle: int) -> LoadedObject:
        """Find a key that is stored in the TPM (TPM2_ReadPublic).

        Args:
            handle: where, e.g. 0x81010001.
        """
        response = self.execute(Command.READ_PUBLIC, handles=[handle])
        return LoadedObject(handle, Reader(response.parameters, "TPM2_ReadPublic").sized16("public area"))

    def persist(self, key: LoadedObject, handle: int) -> None:
        """Store a key in the TPM (TPM2_EvictControl), in the owner's range 0x81000000 to 0x817FFFFF."""
        self._evict_control(key.handle, handle)

    def evict(self, handle: int) -> None:
        """Remove a stored key (TPM2_EvictControl)."""
        self._evict_control(handle, handle)

    def _evict_control(self, source: int, handle: int) -> None:
        self.execute(
            Command.EVICT_CONTROL,
            handles=[Hierarchy.OWNER, source],
            authorizations=[NO_AUTHORIZATION],
            parameters=struct.pack(">I", handle),
        )

    def flush(self, handle: int) -> None:
        """Forget a loaded object or a session (TPM2_FlushContext)."""
        self.execute(Command.FLUSH_CONTEXT, parameters=struct.pack(">I", handle))

    @contextmanager
    def _flushing(self, response: Response) -> Iterator[int]:
        if response.handle is None:
            raise DeviceError("the TPM made something and gave no handle")
        try:
            yield response.handle
        except BaseException:
            with suppress(DeviceError):  # the first failure is the one to tell
                self.flush(response.handle)
            raise
        self.flush(response.handle)

    @contextmanager
    def session(
        self,
        kind: SessionType,
        *,
        salt_key: LoadedObject | None = None,
        attributes: SessionAttributes = SessionAttributes.CONTINUE,
    ) -> Iterator[Session]:
        """Start a session (TPM2_StartAuthSession).

        Args:
            kind: HMAC or policy.
            salt_key: a decryption key of the TPM, to which the session's key is encrypted. Without one the session
                neither signs nor encrypts.
            attributes: how it will be used.
        """
        nonce = os.urandom(SESSION_HASH.size)
        salt = share_seed(parse_public(salt_key.public), b"SECRET") if salt_key else None
        response = self.execute(
            Command.START_AUTH_SESSION,
            handles=[salt_key.handle if salt_key else RH_NULL, RH_NULL],
            parameters=sized(nonce)
            + sized(salt.encrypted if salt else b"")
            + struct.pack(">B", kind)
            + (struct.pack(">HHH", ALG_AES, SESSION_AES_BITS, ALG_CFB) if salt else struct.pack(">H", ALG_NULL))
            + struct.pack(">H", SESSION_HASH),
            makes_handle=True,
        )
        with self._flushing(response) as handle:
            nonce_tpm = Reader(response.parameters, "TPM2_StartAuthSession").sized16("nonce")
            key = kdfa(SESSION_HASH, salt.seed, b"ATH", nonce_tpm, nonce, SESSION_HASH.size) if salt else b""
            yield Session(handle, nonce_tpm, nonce, key, attributes)

    # Registers

    def pcr_banks(self) -> tuple[PcrSelection, ...]:
        """List the banks and which registers each has (TPM2_GetCapability)."""
        return read_pcr_selections(self._capability(CAPABILITY_PCRS, 0, 1))

    def pcr_read(self, registers: Iterable[int], bank: HashAlgorithm = HashAlgorithm.SHA256) -> dict[int, bytes]:
        """Read registers (TPM2_PCR_Read), as often as it takes: a TPM returns at most eight at once.

        Raises:
            DeviceError: the TPM does not keep one of them in this bank.
        """
        wanted, values = sorted(set(registers)), dict[int, bytes]()
        while left := [index for index in wanted if index not in values]:
            read = self._pcr_read(PcrSelection.of(left, bank))
            if not read:
                raise DeviceError(
                    f"the TPM has no register {left[0]} in its {bank.label} bank",
                    hint="is the bank active? tpm2_pcrallocate or the firmware's setup changes that",
                )
            values |= read
        return {index: values[index] for index in wanted}

    def _pcr_read(self, selection: PcrSelection) -> dict[int, bytes]:
        reader = Reader(self.execute(Command.PCR_READ, parameters=selection.to_bytes()).parameters, "TPM2_PCR_Read")
        reader.u32("update counter")
        indexes = [index for returned in read_pcr_selections(reader) for index in returned.registers]
        reader.expect(len(indexes), reader.u32("number of values"), "number of values")
        return {index: reader.sized16("value") for index in indexes}

    def pcr_extend(self, index: int, digest: bytes, bank: HashAlgorithm = HashAlgorithm.SHA256) -> None:
        """Extend a register of one bank with a digest (TPM2_PCR_Extend)."""
        self.execute(
            Command.PCR_EXTEND,
            handles=[index],
            authorizations=[NO_AUTHORIZATION],
            parameters=struct.pack(">IH", 1, bank) + digest,
        )

    def pcr_event(self, index: int, data: bytes) -> dict[int, bytes]:
        """Extend a register of every bank with the hash of some data (TPM2_PCR_Event).

        Args:
            index: the register.
            data: at most 1024 bytes.

        Returns:
            TPM_ALG_ID of each bank → the digest that it was extended with.
        """
        response = self.execute(
            Command.PCR_EVENT, handles=[index], authorizations=[NO_AUTHORIZATION], parameters=sized(data)
        )
        reader = Reader(response.parameters, "TPM2_PCR_Event")
        digests = {}
        for _ in range(reader.u32("number of digests")):
            algorithm = HashAlgorithm.of(reader.u16("hash algorithm"), reader.what)
            digests[int(algorithm)] = reader.take(algorithm.size, "digest")
        return digests

    def quote(
        self,
        key: LoadedObject,
        binding: bytes,
        registers: Iterable[int],
        bank: HashAlgorithm = HashAlgorithm.SHA256,
    ) -> SignedQuote:
        """Let an attestation key sign registers and a binding of at most 64 bytes (TPM2_Quote)."""
        scheme_of_the_key = struct.pack(">H", ALG_NULL)
        response = self.execute(
            Command.QUOTE,
            handles=[key.handle],
            authorizations=[NO_AUTHORIZATION],
            parameters=sized(binding) + scheme_of_the_key + PcrSelection.of(registers, bank).to_bytes(),
        )
        reader = Reader(response.parameters, "TPM2_Quote")
        return SignedQuote(attest=reader.sized16("attestation"), signature=reader.rest())

    # The rest

    def get_random(self, count: int) -> bytes:
        """Take random bytes from the TPM (TPM2_GetRandom), as often as it takes."""
        data = b""
        while len(data) < count:
            response = self.execute(Command.GET_RANDOM, parameters=struct.pack(">H", min(32, count - len(data))))
            chunk = Reader(response.parameters, "TPM2_GetRandom").sized16("random bytes")
            if not chunk:
                raise DeviceError("the TPM gave no random bytes")
            data += chunk
        return data

    def handles(self, first: int) -> tuple[int, ...]:
        """List the handles in use of one kind (TPM2_GetCapability).

        Args:
            first: where the kind begins: 0x80000000 loaded objects, 0x81000000 stored keys, 0x01000000 NV indexes,
                0x02000000 HMAC sessions, 0x03000000 policy sessions.
        """
        reader = self._capability(CAPABILITY_HANDLES, first, MAX_HANDLES)
        return tuple(reader.u32("handle") for _ in range(reader.u32("number of handles")))

    def _capability(self, capability: int, first: int, count: int) -> Reader:
        response = self.execute(Command.GET_CAPABILITY, parameters=struct.pack(">III", capability, first, count))
        reader = Reader(response.parameters, "TPM2_GetCapability")
        reader.u8("whether there is more")
        reader.expect(capability, reader.u32("capability"), "capability")
        return reader
