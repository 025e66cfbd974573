# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A node's key in the mesh: X25519 (RFC 7748), kept on the state disk, where only the node itself can read it.

How a key is changed:

1. The node makes a new pair with `X25519PrivateKey.generate()`, and asks for a rejoin ticket with the new public key,
   over the attested channel.
2. The join service, which knows the node by its disk and its identity, writes the key into its NodeIdentity before it
   answers. Nobody else may write there.
3. With the answer the node keeps the key (`replace_key`) and starts the mesh with it. Its peers read the NodeIdentity
   and derive the preshared key of the pair anew.

Until both sides have changed their packets wait or are dropped; they never go in clear. Where the power goes between 2
and 3, the node comes back with the key that it kept. `Mesh.key_announced` says that its peers know another one, and it
asks again, with the key that it has.
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
_DRAFT: Final = ".mesh.key.next"


def load_or_make_key(folder: Path) -> X25519PrivateKey:
    """Give the key that is kept in a folder; a new one where there is none.

    Args:
        folder: on the state disk; made where it does not exist.

    Raises:
        PermanentError: the file is not ours, others may read it, or it is no key.
    """
    try:
        folder.mkdir(mode=stat.S_IRWXU, parents=True, exist_ok=True)
        if not os.path.lexists(folder / KEY_FILE):
            create_secret_file(folder / KEY_FILE, _secret(X25519PrivateKey.generate()))
        return _key(folder / KEY_FILE)
    except SecretFileError as error:
        raise PermanentError(str(error), hint=error.hint) from None
    except OSError as error:
        raise PermanentError(f"cannot keep the mesh key in {folder}: {error.strerror}") from None


def replace_key(folder: Path, key: X25519PrivateKey) -> None:
    """Keep another key from now on: at every moment one of the two is there as a whole.

    Raises:
        PermanentError: it cannot be written.
    """
    draft = folder / _DRAFT
    try:
        draft.unlink(missing_ok=True)  # an earlier attempt lost its power
        create_secret_file(draft, _secret(key))
        draft.replace(folder / KEY_FILE)
    except (SecretFileError, OSError) as error:
        raise PermanentError(f"cannot keep the new mesh key: {error}") from None


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
