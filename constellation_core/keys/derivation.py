# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Keys derived from a cluster's master secret (HKDF, RFC 5869, with SHA-256).

    derive(id, length) = HKDF-SHA256(ikm = secret, salt = salt, info = "key-" + id)

The table of ids and of their consumers is section 3 of the protocols: see `KeyId`.
"""

from __future__ import annotations

import uuid
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from constellation_core.errors import ConfigError
from constellation_core.keys.secret import Secret

SECRET_SIZE: Final = 32  # bytes, of master secrets, salts and most keys
MESH_KEY_SIZE: Final = 32  # bytes, of a public key of WireGuard

MEASUREMENT_SECRET: Final = "measurement-secret"  # noqa: S105 - the id of a key
KUBE_SECRETS: Final = "kube-secrets"
SSH_AUTHORITY: Final = "ssh-ca"
OBJECT_STORE: Final = "s3proxy/kek"


def state_disk(disk: str) -> str:
    """Id of the key of a state disk, by its LUKS UUID."""
    return f"state-disk/{canonical_uuid(disk)}"


def volume(disk: str) -> str:
    """Id of the key of a volume, by its LUKS UUID."""
    return f"volume/{canonical_uuid(disk)}"


def canonical_uuid(text: str) -> str:
    """Check that a text is a UUID in its only spelling: 36 characters, lower case.

    Raises:
        ConfigError: it is not. Other spellings would give other keys for the same disk.
    """
    try:
        canonical = str(uuid.UUID(text))
    except (ValueError, AttributeError, TypeError):
        canonical = None
    if canonical is None or canonical != text:
        raise ConfigError(
            f"disk id: expected a UUID in lower case, got {text!r:.80}", hint="see `cryptsetup luksUUID DEVICE`"
        )
    return text


def derive(secret: Secret, salt: bytes, key_id: str, length: int = SECRET_SIZE) -> Secret:
    """Derive one key.

    Args:
        secret: the master secret, 32 bytes.
        salt: its salt, 32 bytes.
        key_id: what the key is for.
        length: bytes wanted.
    """
    return _hkdf(secret, salt, f"key-{key_id}", length)


def cluster_id(measurement_secret: Secret, measurement_salt: bytes) -> bytes:
    """Compute the cluster ID, 32 bytes: what marks every node of one cluster."""
    return _hkdf(measurement_secret, measurement_salt, "cluster-id", SECRET_SIZE).reveal()


def mesh_psk(measurement_secret: Secret, key: bytes, other: bytes) -> Secret:
    """Derive the preshared key of two nodes of the mesh, 32 bytes; both nodes get the same.

        HKDF-SHA256(ikm = measurement secret, no salt, info = "mesh-psk" ‖ the two public keys, the lesser one first)

    Args:
        measurement_secret: 32 bytes; whoever was not attested does not have it.
        key: public key of one node, 32 bytes.
        other: public key of the other, 32 bytes.

    Raises:
        ConfigError: a key has another size: parts of one could be taken for parts of the other.
    """
    if len(key) != MESH_KEY_SIZE or len(other) != MESH_KEY_SIZE:
        raise ConfigError(f"mesh key: expected {MESH_KEY_SIZE} bytes, got {len(key)} and {len(other)}")
    info = b"mesh-psk" + b"".join(sorted((key, other)))
    kdf = HKDF(algorithm=SHA256(), length=SECRET_SIZE, salt=None, info=info)
    return Secret(kdf.derive(measurement_secret.reveal()))


def _hkdf(secret: Secret, salt: bytes, info: str, length: int) -> Secret:
    kdf = HKDF(algorithm=SHA256(), length=length, salt=salt, info=info.encode())
    return Secret(kdf.derive(secret.reveal()))
