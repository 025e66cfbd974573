# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A node's key in the mesh: X25519 (RFC 7748), kept on the state disk, where only the node itself can read it.

How a key is changed, at every boot in which a join service opens the disk (docs/adr/0020):

1. The node makes the next key and keeps it beside the one that it has (`make_next_key`).
2. It asks for its rejoin ticket again, with the public half, over the attested channel. The join service, which knows
   the node by its disk and its identity, writes it into the NodeIdentity before it answers. Nobody else may do that.
3. With the answer the next key takes the place of the old one (`take_next_key`), and the mesh starts with it. Peers
   read the NodeIdentity, derive the preshared key of the pair anew, and from then on do not know the old key.

Until both sides have changed their packets wait or are dropped; they never go in clear. Where the power goes between 1
and 3, both keys are on the disk; the next boot asks with the same next key, whether the service took it or not.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from constellation_core.errors import SecretFileError
from constellation_core.keys.derivation import MESH_KEY_SIZE
from constellation_core.keys.secret import Secret
from constellation_core.keys.secret_file import create_secret_file, read_secret_file
from node_agent.errors import PermanentError

if TYPE_CHECKING:
    from pathlib import Path

KEY_FILE: Final = "mesh.key"
"""32 bytes, mode 0600."""
NEXT_KEY_FILE: Final = "mesh.key.next"
"""The same, of a key that the cluster may not know yet."""


def load_or_make_key(folder: Path) -> X25519PrivateKey:
    """Give the key that is kept in a folder; a new one where there is none.

    Args:
        folder: on the state disk; made where it does not exist.

    Raises:
        PermanentError: the file is not ours, others may read it, or it is no key.
    """
    return _load_or_make(folder, KEY_FILE)


def make_next_key(folder: Path) -> X25519PrivateKey:
    """Give the key that is to replace the one in a folder: that of an attempt that did not end, or a new one.

    Raises:
        PermanentError: it cannot be kept.
    """
    return _load_or_make(folder, NEXT_KEY_FILE)


def take_next_key(folder: Path) -> None:
    """Replace the key by the next one: at every moment one of the two is there as a whole.

    Raises:
        PermanentError: there is no next key, or it cannot be written.
    """
    try:
        (folder / NEXT_KEY_FILE).replace(folder / KEY_FILE)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise PermanentError(f"cannot keep the new mesh key: {error}") from None


def _load_or_make(folder: Path, name: str) -> X25519PrivateKey:
    try:
        folder.mkdir(mode=stat.S_IRWXU, parents=True, exist_ok=True)
        if not os.path.lexists(folder / name):
            create_secret_file(folder / name, _secret(X25519PrivateKey.generate()))
        return _key(folder / name)
    except SecretFileError as error:
        raise PermanentError(str(error), hint=error.hint) from None
    except OSError as error:
        raise PermanentError(f"cannot keep the mesh key in {folder}: {error.strerror}") from None


def _key(path: Path) -> X25519PrivateKey:
    content = read_secret_file(path)
    if len(content.reveal()) != MESH_KEY_SIZE:
        raise PermanentError(
            f"{path}: expected a key of {MESH_KEY_SIZE} bytes, got {len(content.reveal())}",
            hint="remove it: the node makes a new one, and announces it when it boots again",
        )
    return X25519PrivateKey.from_private_bytes(content.reveal())


def _secret(key: X25519PrivateKey) -> Secret:
    return Secret(key.private_bytes_raw())
