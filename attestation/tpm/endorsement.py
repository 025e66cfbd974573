# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Endorsement keys: the keys that a TPM was born with, their certificates, and how they open credentials.

After "TCG EK Credential Profile for TPM Family 2.0" 2.5, 2.2 (NV indexes), and TPM 2.0 Library, Part 3 "Commands",
12.5 (TPM2_ActivateCredential).
"""

from __future__ import annotations

import struct
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING, Final

from attestation.errors import MalformedError
from attestation.reader import Reader
from attestation.tpm.client import NO_AUTHORIZATION
from attestation.tpm.commands import Command
from attestation.tpm.nv import nv_read
from attestation.tpm.public import ObjectAttributes, parse_public
from attestation.tpm.sessions import SessionType
from attestation.tpm.structures import Hierarchy, sized
from attestation.tpm.templates import ecc_endorsement_key, rsa_endorsement_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from attestation.tpm.client import LoadedObject, Tpm
    from attestation.tpm.credential import Credential
    from attestation.tpm.sessions import Authorization, Session

FIRST_STORED_KEY: Final = 0x81000000
DER_SEQUENCE: Final = b"\x30\x82"  # how a certificate begins: a sequence with two bytes of length


class EndorsementKey(Enum):
    """The endorsement keys that manufacturers certify.

    Attributes:
        certificate_index: NV index of the certificate.
        handle: where the key is stored, if it is.
    """

    RSA_2048 = 0x01C00002, 0x81010001
    ECC_P256 = 0x01C0000A, 0x81010002
    ECC_P384 = 0x01C00016, 0x81010016

    def __init__(self, certificate_index: int, handle: int) -> None:
        self.certificate_index = certificate_index
        self.handle = handle

    @property
    def template(self) -> bytes | None:
        """TPMT_PUBLIC from which the key is made anew; None where the key must be stored."""
        if self is EndorsementKey.RSA_2048:
            return rsa_endorsement_key()
        return ecc_endorsement_key() if self is EndorsementKey.ECC_P256 else None


@contextmanager
def endorsement_key(tpm: Tpm, kind: EndorsementKey) -> Iterator[LoadedObject]:
    """Find the endorsement key where it is stored, or make it from its template.

    Raises:
        TpmError: it is not stored, and cannot be made.
    """
    if kind.template is None or kind.handle in tpm.handles(FIRST_STORED_KEY):
        yield tpm.persistent(kind.handle)
        return
    with tpm.primary(Hierarchy.ENDORSEMENT, kind.template) as key:
        yield key


def endorsement_certificate(tpm: Tpm, kind: EndorsementKey) -> bytes:
    """Read the certificate of an endorsement key, DER.

    Raises:
        TpmError: the TPM holds none.
        MalformedError: the index holds something else.
    """
    data = nv_read(tpm, kind.certificate_index)
    size = int.from_bytes(data[2:4], "big") + 4  # some manufacturers define the index larger than the certificate
    if data[:2] != DER_SEQUENCE or size > len(data):
        raise MalformedError(f"NV index {kind.certificate_index:#010x} does not hold a certificate")
    return data[:size]


def activate_credential(tpm: Tpm, key: LoadedObject, endorsement: LoadedObject, credential: Credential) -> bytes:
    """Open a credential: prove that this TPM holds both keys (TPM2_ActivateCredential).

    Args:
        tpm: the TPM.
        key: attestation key.
        endorsement: endorsement key.
        credential: from `make_credential`.

    Returns:
        The secret.

    Raises:
        TpmError: the credential was made for another key or another TPM.
    """
    with _permission(tpm, endorsement) as permission:
        response = tpm.execute(
            Command.ACTIVATE_CREDENTIAL,
            handles=[key.handle, endorsement.handle],
            authorizations=[NO_AUTHORIZATION, permission],
            parameters=sized(credential.blob) + sized(credential.encrypted_seed),
        )
    return Reader(response.parameters, "TPM2_ActivateCredential").sized16("secret")


@contextmanager
def _permission(tpm: Tpm, endorsement: LoadedObject) -> Iterator[Authorization]:
    """Permit the use of an endorsement key in the way that its attributes ask for."""
    if ObjectAttributes.USER_WITH_AUTH in parse_public(endorsement.public).attributes:
        yield NO_AUTHORIZATION
        return
    with tpm.session(SessionType.POLICY) as session:
        policy_secret(tpm, session, Hierarchy.ENDORSEMENT)
        yield session


def policy_secret(tpm: Tpm, session: Session, entity: int) -> None:
    """Fulfil a policy by knowing the empty authorisation value of an entity (TPM2_PolicySecret)."""
    no_nonce, no_parameters, no_reference, no_expiration = sized(b""), sized(b""), sized(b""), struct.pack(">i", 0)
    tpm.execute(
        Command.POLICY_SECRET,
        handles=[entity, session.handle],
        authorizations=[NO_AUTHORIZATION],
        parameters=no_nonce + no_parameters + no_reference + no_expiration,
    )
