# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Runtime data: the JSON in which Azure's paravisor names the keys of its vTPM, and which the hardware's report hashes.

After the OpenHCL attestation protocol ("runtime claims"); keys are JWKs (RFC 7517, RFC 7518 §6.3).
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.asymmetric import rsa

from attestation.errors import MalformedError
from attestation.strict_json import load_object

if TYPE_CHECKING:
    from collections.abc import Mapping

ATTESTATION_KEY_ID: Final = "HCLAkPub"
MAX_SIZE: Final = 16 * 1024  # bytes; seen: 600 to 1200
MAX_BRACKETS: Final = 64
MAX_EXPONENT: Final = 0xFFFFFFFF
MAX_NUMBER: Final = 684  # characters of base64url; 512 bytes

_BASE64URL: Final = re.compile("[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class RuntimeData:
    """What the paravisor says.

    Attributes:
        attestation_key: key of the vTPM that signs quotes.
        configuration: "vm-configuration" as it stands; informative.
        user_data: 64 bytes that the guest asked to be hashed along; empty where there are none.
    """

    attestation_key: rsa.RSAPublicKey
    configuration: Mapping[str, Any]
    user_data: bytes


@lru_cache(maxsize=64)  # a machine sends the same with every quote until it boots again
def parse_runtime_data(data: bytes) -> RuntimeData:
    """Read runtime data. Claims that are not known are skipped: the hash covers them, and new ones appear.

    Raises:
        MalformedError: not JSON of this form, repeated keys, or not exactly one valid attestation key.
    """
    record = load_object(data, "Azure runtime data", max_size=MAX_SIZE, max_brackets=MAX_BRACKETS)
    configuration = record.get("vm-configuration", {})
    if not isinstance(configuration, dict):
        raise MalformedError("Azure runtime data: vm-configuration is not an object")
    return RuntimeData(
        attestation_key=_attestation_key(record.get("keys")),
        configuration=MappingProxyType(configuration),
        user_data=_user_data(record.get("user-data", "")),
    )


def _attestation_key(keys: object) -> rsa.RSAPublicKey:
    listed = keys if isinstance(keys, list) else []
    found = [key for key in listed if isinstance(key, dict) and key.get("kid") == ATTESTATION_KEY_ID]
    if len(found) != 1 or found[0].get("kty") != "RSA":
        raise MalformedError(f"Azure runtime data: expected one RSA key {ATTESTATION_KEY_ID}, found {len(found)}")
    modulus, exponent = (_number(found[0].get(name), name) for name in ("n", "e"))
    if exponent > MAX_EXPONENT:  # nobody uses one, and it makes a verification slow
        raise MalformedError(f"Azure runtime data: exponent of {ATTESTATION_KEY_ID} has {exponent.bit_length()} bits")
    try:
        return rsa.RSAPublicNumbers(exponent, modulus).public_key()
    except ValueError as error:
        raise MalformedError(f"Azure runtime data: {ATTESTATION_KEY_ID} is no RSA key: {error}") from None


def _number(text: object, name: str) -> int:
    if not isinstance(text, str) or len(text) > MAX_NUMBER or not _BASE64URL.fullmatch(text):
        raise MalformedError(f"Azure runtime data: {name} of {ATTESTATION_KEY_ID} is not a number in base64url")
    try:
        return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")
    except binascii.Error:
        raise MalformedError(f"Azure runtime data: {name} of {ATTESTATION_KEY_ID} is cut off") from None


def _user_data(text: object) -> bytes:
    try:
        return bytes.fromhex(text if isinstance(text, str) else "not text")
    except ValueError:
        raise MalformedError("Azure runtime data: user-data is not hexadecimal") from None
