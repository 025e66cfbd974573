# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""How the API server encrypts Secrets before etcd gets them: an EncryptionConfiguration, `apiserver.config.k8s.io/v1`.

The key derives from the master secret (id `kube-secrets`), so every control plane has the same, and a lost file can be
written anew. The provider is secretbox, XSalsa20 and Poly1305: AES-GCM with random nonces would need a new key every
200,000 writes. There is no `identity` beside it: what lies in etcd unencrypted was not written by us and is not read.

https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

import yaml

from constellation_core.keys.derivation import SECRET_SIZE
from constellation_core.keys.secret import Secret

if TYPE_CHECKING:
    from typing import Any

KEY_NAME: Final = "kube-secrets-1"
"""Etcd has it with each Secret; a later key needs another name."""


def encryption_configuration(key: Secret) -> Secret:
    """Give the file.

    Args:
        key: 32 bytes.
    """
    if len(key.reveal()) != SECRET_SIZE:
        message = f"expected a key of {SECRET_SIZE} bytes"
        raise ValueError(message)
    secretbox = {"keys": [{"name": KEY_NAME, "secret": base64.b64encode(key.reveal()).decode()}]}
    document: dict[str, Any] = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [{"resources": ["secrets"], "providers": [{"secretbox": secretbox}]}],
    }
    return Secret(yaml.safe_dump(document, sort_keys=False).encode())
