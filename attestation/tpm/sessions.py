# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Authorisation of commands: passwords, and sessions that sign and encrypt what crosses the bus.

After TPM 2.0 Library, Part 1 "Architecture", 17.6 (HMAC), 19 (sessions) and 21 (parameter encryption). One session at
most encrypts in a command, and it is the first, so the nonces of other sessions never enter an HMAC here.
"""

from __future__ import annotations

import hmac
import os
import struct
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from typing import TYPE_CHECKING, Final, Protocol

from attestation.errors import NotGenuineError
from attestation.reader import Reader
from attestation.tpm.algorithms import HashAlgorithm
from attestation.tpm.kdf import AES_BLOCK, aes_cfb_decrypt, aes_cfb_encrypt, kdfa
from attestation.tpm.structures import sized

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attestation.tpm.commands import Command

RS_PASSWORD: Final = 0x40000009
SESSION_HASH: Final = HashAlgorithm.SHA256
SESSION_AES_BITS: Final = 128


class SessionType(IntEnum):
    """What a session is for (TPM_SE)."""

    HMAC = 0x00
    POLICY = 0x01


class SessionAttributes(IntFlag):
    """How a session is used (TPMA_SESSION); directions are the TPM's."""

    CONTINUE = 1 << 0
    DECRYPT = 1 << 5  # the first parameter of the command is encrypted
    ENCRYPT = 1 << 6  # the first parameter of the response is encrypted


class Authorization(Protocol):
    """What permits a command to use an object."""

    def outgoing(self, parameters: bytes) -> bytes:
        """Begin a command: give its parameters as they travel."""

    def authorize(self, command: Command, names: Sequence[bytes], parameters: bytes) -> bytes:
        """Give the TPMS_AUTH_COMMAND for parameters as they travel."""

    def check(self, command: Command, parameters: bytes, reader: Reader) -> None:
        """Read the TPMS_AUTH_RESPONSE and check it against the parameters as they travelled."""

    def reveal(self, parameters: bytes) -> bytes:
        """End a command: give the parameters of its response in clear."""


@dataclass(frozen=True, slots=True)
class Password:
    """An authorisation value, sent in clear; hierarchies and keys of a virtual machine have an empty one.

    Attributes:
        value: the authorisation value.
    """

    value: bytes = field(default=b"", repr=False)

    def outgoing(self, parameters: bytes) -> bytes:
        """Give the parameters unchanged."""
        return parameters

    def authorize(self, command: Command, names: Sequence[bytes], parameters: bytes) -> bytes:  # noqa: ARG002
        """Give the password; it does not depend on the command."""
        return struct.pack(">IHB", RS_PASSWORD, 0, SessionAttributes.CONTINUE) + sized(self.value)

    def check(self, command: Command, parameters: bytes, reader: Reader) -> None:  # noqa: ARG002
        """Accept any response: a password protects none."""
        _read_authorization(reader)

    def reveal(self, parameters: bytes) -> bytes:
        """Give the parameters unchanged."""
        return parameters


@dataclass(slots=True)
class Session:
    """A session that the TPM holds for us.

    Attributes:
        handle: its handle.
        nonce_tpm: the TPM's latest nonce.
        nonce_caller: our latest nonce.
        key: session key; empty if the session was not salted, and then it neither signs nor encrypts.
        attributes: how it is used.
    """

    handle: int
    nonce_tpm: bytes
    nonce_caller: bytes
    key: bytes = field(repr=False)
    attributes: SessionAttributes

    def outgoing(self, parameters: bytes) -> bytes:
        """Take a fresh nonce and encrypt the first parameter, if that is what the session is for."""
        self.nonce_caller = os.urandom(SESSION_HASH.size)
        if SessionAttributes.DECRYPT not in self.attributes:
            return parameters
        reader = Reader(parameters, "TPM command")
        key, iv = self._cipher(self.nonce_caller, self.nonce_tpm)
        return sized(aes_cfb_encrypt(key, reader.sized16(), iv=iv)) + reader.rest()

    def authorize(self, command: Command, names: Sequence[bytes], parameters: bytes) -> bytes:
        """Sign the command."""
        digest = SESSION_HASH.digest(struct.pack(">I", command) + b"".join(names) + parameters)
        mac = self._mac(digest, self.nonce_caller, self.nonce_tpm, self.attributes)
        return (
            struct.pack(">I", self.handle) + sized(self.nonce_caller) + struct.pack(">B", self.attributes) + sized(mac)
        )

    def check(self, command: Command, parameters: bytes, reader: Reader) -> None:
        """Check the TPM's signature over the response.

        Raises:
            NotGenuineError: somebody between us and the TPM changed the response.
        """
        answer = _read_authorization(reader)
        self.nonce_tpm = answer.nonce
        digest = SESSION_HASH.digest(struct.pack(">II", 0, command) + parameters)
        mac = self._mac(digest, self.nonce_tpm, self.nonce_caller, answer.attributes)
        if not hmac.compare_digest(mac, answer.mac):
            raise NotGenuineError("tpm.session", expected="a response signed by the TPM", got="another signature")

    def reveal(self, parameters: bytes) -> bytes:
        """Decrypt the first parameter, if that is what the session is for."""
        if SessionAttributes.ENCRYPT not in self.attributes:
            return parameters
        parts = Reader(parameters, "TPM response")
        key, iv = self._cipher(self.nonce_tpm, self.nonce_caller)
        return sized(aes_cfb_decrypt(key, parts.sized16(), iv=iv)) + parts.rest()

    def _mac(self, digest: bytes, newer: bytes, older: bytes, attributes: int) -> bytes:
        if not self.key:
            return b""
        return hmac.digest(self.key, digest + newer + older + struct.pack(">B", attributes), SESSION_HASH.label)

    def _cipher(self, newer: bytes, older: bytes) -> tuple[bytes, bytes]:
        key_size = SESSION_AES_BITS // 8
        material = kdfa(SESSION_HASH, self.key, b"CFB", newer, older, key_size + AES_BLOCK)
        return material[:key_size], material[key_size:]


@dataclass(frozen=True, slots=True)
class _AuthorizationResponse:
    nonce: bytes
    attributes: int
    mac: bytes


def _read_authorization(reader: Reader) -> _AuthorizationResponse:
    return _AuthorizationResponse(reader.sized16("nonce"), reader.u8("session attributes"), reader.sized16("HMAC"))
