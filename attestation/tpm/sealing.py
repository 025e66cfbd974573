# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Secrets that a TPM gives back only while its registers hold the values they were sealed to.

The secret travels encrypted in both directions, under a session salted to the storage key, and responses are signed:
who listens to the bus of a hardware TPM learns nothing. Who can change what crosses the bus could offer a storage key
of his own when the secret is sealed; afterwards the Name of the key is part of the sealed record, and another key is
refused. After TPM 2.0 Library, Part 1 "Architecture", 19.7 and 21, Part 3 "Commands", 12.1 and 12.7.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from attestation.errors import NotGenuineError
from attestation.reader import Reader
from attestation.tpm.algorithms import ALG_NULL, HashAlgorithm
from attestation.tpm.client import NO_PCRS
from attestation.tpm.commands import Command
from attestation.tpm.policies import policy_pcr_digest
from attestation.tpm.public import ObjectAttributes
from attestation.tpm.sessions import SessionAttributes, SessionType
from attestation.tpm.structures import Hierarchy, PcrSelection, sized
from attestation.tpm.templates import ecc_storage_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attestation.tpm.client import Tpm
    from attestation.tpm.sessions import Session

MAX_SECRET_SIZE: Final = 128  # bytes (MAX_SYM_DATA)
ALG_KEYEDHASH: Final = 0x0008


@dataclass(frozen=True, slots=True)
class SealedSecret:
    """A secret that only one TPM can open, and only while its registers hold certain values.

    Attributes:
        public: TPMT_PUBLIC of the sealed object.
        private: contents of TPM2B_PRIVATE; encrypted by the TPM.
        parent_name: Name of the storage key.
        registers: indexes in the SHA-256 bank.
    """

    public: bytes
    private: bytes
    parent_name: bytes
    registers: tuple[int, ...]


def seal(tpm: Tpm, secret: bytes, pcrs: Mapping[int, bytes]) -> SealedSecret:
    """Seal a secret to values of registers, present ones or future ones.

    Args:
        tpm: the TPM.
        secret: 1 to 128 bytes.
        pcrs: register index → value in the SHA-256 bank, at least one.

    Raises:
        ValueError: the secret is empty or too long, or no register is named.
    """
    if not 0 < len(secret) <= MAX_SECRET_SIZE or not pcrs:
        message = f"seal 1 to {MAX_SECRET_SIZE} bytes to at least one register"
        raise ValueError(message)
    no_authorization, no_outside_info = sized(b""), sized(b"")
    encrypted = SessionAttributes.CONTINUE | SessionAttributes.DECRYPT
    with (
        tpm.primary(Hierarchy.OWNER, ecc_storage_key()) as parent,
        tpm.session(SessionType.HMAC, salt_key=parent, attributes=encrypted) as session,
    ):
        response = tpm.execute(
            Command.CREATE,
            handles=[parent.handle],
            names=[parent.name],
            authorizations=[session],
            parameters=sized(no_authorization + sized(secret))
            + sized(_sealed_object(policy_pcr_digest(pcrs)))
            + no_outside_info
            + NO_PCRS,
        )
        reader = Reader(response.parameters, "TPM2_Create")
        private, public = reader.sized16("private area"), reader.sized16("public area")
        return SealedSecret(public, private, parent.name, tuple(sorted(pcrs)))


def unseal(tpm: Tpm, sealed: SealedSecret) -> bytes:
    """Open a sealed secret.

    Raises:
        TpmError: the registers hold other values (TPM_RC_POLICY_FAIL), or it is another TPM's secret.
        NotGenuineError: the storage key is not the one that the secret was sealed under.
    """
    encrypted = SessionAttributes.CONTINUE | SessionAttributes.ENCRYPT
    with tpm.primary(Hierarchy.OWNER, ecc_storage_key()) as parent:
        if parent.name != sealed.parent_name:
            raise NotGenuineError("tpm.storage_key", expected=sealed.parent_name.hex(), got=parent.name.hex())
        with (
            tpm.load(parent, sealed.private, sealed.public) as loaded,
            tpm.session(SessionType.POLICY, salt_key=parent, attributes=encrypted) as session,
        ):
            policy_pcr(tpm, session, sealed.registers)
            response = tpm.execute(
                Command.UNSEAL, handles=[loaded.handle], names=[loaded.name], authorizations=[session]
            )
    return Reader(response.parameters, "TPM2_Unseal").sized16("secret")


def policy_pcr(tpm: Tpm, session: Session, registers: tuple[int, ...]) -> None:
    """Fulfil a policy by the present values of registers (TPM2_PolicyPCR)."""
    present_values = sized(b"")
    tpm.execute(
        Command.POLICY_PCR,
        handles=[session.handle],
        parameters=present_values + PcrSelection.of(registers).to_bytes(),
    )


def _sealed_object(policy: bytes) -> bytes:
    """Write the TPMT_PUBLIC of a sealed object: no use by password, no way around the policy."""
    attributes = ObjectAttributes.FIXED_TPM | ObjectAttributes.FIXED_PARENT | ObjectAttributes.NO_DA
    head = struct.pack(">HHI", ALG_KEYEDHASH, HashAlgorithm.SHA256, attributes)
    return head + sized(policy) + struct.pack(">H", ALG_NULL) + sized(b"")
