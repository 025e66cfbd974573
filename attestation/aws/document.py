# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The attestation document that the Nitro system signs about a NitroTPM: bytes to record, no cryptography.

A COSE_Sign1 (RFC 9052, 4.2) whose payload is the map of the EC2 user guide, "Attestation Document specification".
What the map holds besides the known keys is kept in `NitroDocument.unknown`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from attestation.aws.cbor import Tagged, parse_cbor
from attestation.errors import MalformedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attestation.aws.cbor import CborValue

COSE_SIGN1: Final = 18
MAX_USER_DATA: Final = 1024  # bytes of nonce, user data and public key, each
MAX_CERTIFICATES: Final = 8
REGISTERS: Final = range(32)
REGISTER_SIZE: Final = 48  # the document speaks of the SHA-384 bank only
SIGNATURE_SIZE: Final = 96  # r and s of P-384, big endian

_WHAT: Final = "Nitro attestation document"
_KNOWN: Final = frozenset(
    {
        "module_id",
        "timestamp",
        "digest",
        "nitrotpm_pcrs",
        "certificate",
        "cabundle",
        "public_key",
        "user_data",
        "nonce",
    },
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NitroDocument:
    """A document.

    Attributes:
        protected: protected header of the signature, encoded.
        payload: the signed map, encoded.
        signature: r and s.
        module_id: instance, and the TPM in it.
        created: when, aware UTC.
        digest: hash of the registers' bank; "SHA384".
        registers: index → 48 bytes.
        certificate: DER of the certificate that signs.
        authorities: DER of the certificates above, root first.
        public_key: what the instance asked to be signed along; empty where it asked for none.
        user_data: the same.
        nonce: the same.
        unknown: names of keys that are not known.
    """

    protected: bytes
    payload: bytes
    signature: bytes
    module_id: str
    created: datetime
    digest: str
    registers: Mapping[int, bytes]
    certificate: bytes
    authorities: tuple[bytes, ...]
    public_key: bytes
    user_data: bytes
    nonce: bytes
    unknown: tuple[str, ...]


def parse_document(data: bytes) -> NitroDocument:
    """Read a document.

    Args:
        data: COSE_Sign1, with or without its tag.

    Raises:
        MalformedError: it is not one.
    """
    protected, payload, signature = _sign1(parse_cbor(data, _WHAT))
    record = parse_cbor(payload, _WHAT)
    if not isinstance(record, dict):
        raise MalformedError(f"{_WHAT}: its payload is not a map")
    return NitroDocument(
        protected=protected,
        payload=payload,
        signature=signature,
        module_id=_text(record.get("module_id"), "module_id"),
        created=_time(record.get("timestamp")),
        digest=_text(record.get("digest"), "digest"),
        registers=_registers(record.get("nitrotpm_pcrs")),
        certificate=_bytes(record.get("certificate"), "certificate"),
        authorities=_authorities(record.get("cabundle")),
        public_key=_chosen(record, "public_key"),
        user_data=_chosen(record, "user_data"),
        nonce=_chosen(record, "nonce"),
        unknown=tuple(str(key) for key in record if key not in _KNOWN),
    )


def _sign1(item: CborValue) -> tuple[bytes, ...]:
    if isinstance(item, Tagged) and item.tag == COSE_SIGN1:
        item = item.value
    match item:
        case [bytes() as protected, dict() as unprotected, bytes() as payload, bytes() as signature]:
            # An empty map is all that the specification allows there, and nothing signs it.
            if not unprotected and len(signature) == SIGNATURE_SIZE:
                return protected, payload, signature
    raise MalformedError(f"{_WHAT} is not a COSE_Sign1 with a signature of {SIGNATURE_SIZE} bytes")


def _text(value: CborValue, name: str) -> str:
    if not isinstance(value, str):
        raise MalformedError(f"{_WHAT}: {name} is not text")
    return value


def _bytes(value: CborValue, name: str) -> bytes:
    if not isinstance(value, bytes) or not value:
        raise MalformedError(f"{_WHAT}: {name} is not a byte string")
    return value


def _chosen(record: Mapping[int | str, CborValue], name: str) -> bytes:
    value = record.get(name)
    if value is None:
        return b""
    if not isinstance(value, bytes) or len(value) > MAX_USER_DATA:
        raise MalformedError(f"{_WHAT}: {name} is not a byte string of at most {MAX_USER_DATA} bytes")
    return value


def _time(milliseconds: CborValue) -> datetime:
    if type(milliseconds) is not int:
        raise MalformedError(f"{_WHAT}: timestamp is not a number")
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        raise MalformedError(f"{_WHAT}: timestamp {milliseconds} is not a time") from None


def _registers(value: CborValue) -> Mapping[int, bytes]:
    if not isinstance(value, dict) or not value:
        raise MalformedError(f"{_WHAT}: nitrotpm_pcrs is not a map of registers")
    registers: dict[int, bytes] = {}
    for index, digest in value.items():
        if index not in REGISTERS or not isinstance(digest, bytes) or len(digest) != REGISTER_SIZE:
            raise MalformedError(f"{_WHAT}: register {index!r} is not {REGISTER_SIZE} bytes of an index below 32")
        registers[int(index)] = digest
    return MappingProxyType(registers)


def _authorities(value: CborValue) -> tuple[bytes, ...]:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_CERTIFICATES:
        raise MalformedError(f"{_WHAT}: cabundle is not a list of 1 to {MAX_CERTIFICATES} certificates")
    return tuple(_bytes(certificate, "cabundle") for certificate in value)
