# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Wrapped keys kept as Kubernetes Secrets, one for each key.

The API server creates an object of a name once: of several first requests for a key, all get the one that was kept. The
Secrets are immutable; who can change them can make keys unavailable, and nothing more (see `aws_kms`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from httpx2 import HTTPError
from lightkube import ApiError
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Secret as KubernetesSecret

from constellation_core.errors import KeyProviderError, KeyProviderUnavailableError
from constellation_core.names import NAMESPACE

if TYPE_CHECKING:
    from lightkube import AsyncClient

TYPE: Final = "constellation.dev/wrapped-key"
KEY_ID: Final = "constellation.dev/key-id"
FIELD: Final = "wrapped"


class KubernetesKeyStore:
    """Keeps wrapped keys in the cluster; a `WrappedKeyStore`.

    Args:
        client: may get and create Secrets in the namespace.
        namespace: where they are.
    """

    def __init__(self, client: AsyncClient, namespace: str = NAMESPACE) -> None:
        self._client = client
        self._namespace = namespace

    async def read(self, key_id: str) -> bytes | None:
        """Give the wrapped key of an id; None where there is none yet.

        Raises:
            KeyProviderUnavailableError: the API server cannot answer now.
            KeyProviderError: it refuses, or the Secret is not what this module writes.
        """
        try:
            found = await self._client.get(KubernetesSecret, object_name(key_id), namespace=self._namespace)
        except HTTPError as error:
            if _status(error) == HTTPStatus.NOT_FOUND:
                return None
            raise _unusable("read", key_id, error) from None
        return _wrapped(found, key_id)

    async def create(self, key_id: str, wrapped: bytes) -> bytes:
        """Keep a new wrapped key unless one is there; return the one that is kept.

        Raises:
            KeyProviderUnavailableError: the API server cannot answer now.
            KeyProviderError: it refuses.
        """
        try:
            await self._client.create(_secret(self._namespace, key_id, wrapped))
        except HTTPError as error:
            if _status(error) != HTTPStatus.CONFLICT:
                raise _unusable("write", key_id, error) from None
        else:
            return wrapped
        kept = await self.read(key_id)
        if kept is None:
            raise KeyProviderUnavailableError(f"the Secret of key {key_id!r} was there, and is gone")
        return kept


def object_name(key_id: str) -> str:
    """Give the name of the Secret of a key: a hash, because ids hold what names may not."""
    return f"wrapped-key-{hashlib.sha256(key_id.encode()).hexdigest()}"


def _secret(namespace: str, key_id: str, wrapped: bytes) -> KubernetesSecret:
    return KubernetesSecret(
        metadata=ObjectMeta(name=object_name(key_id), namespace=namespace, annotations={KEY_ID: key_id}),
        type=TYPE,
        data={FIELD: base64.b64encode(wrapped).decode()},
        immutable=True,
    )


def _wrapped(found: KubernetesSecret, key_id: str) -> bytes:
    annotations = (found.metadata and found.metadata.annotations) or {}
    if found.type != TYPE or annotations.get(KEY_ID) != key_id:
        raise KeyProviderError(f"the Secret {object_name(key_id)} does not hold the wrapped key {key_id!r}")
    try:
        return base64.b64decode((found.data or {})[FIELD], validate=True)
    except (KeyError, binascii.Error):
        raise KeyProviderError(f"the Secret {object_name(key_id)} has no readable field {FIELD!r}") from None


def _status(error: HTTPError) -> int | None:
    return error.status.code if isinstance(error, ApiError) else None


def _unusable(verb: str, key_id: str, error: HTTPError) -> KeyProviderError:
    message = f"cannot {verb} the Secret of key {key_id!r}: {str(error) or type(error).__name__}"
    status = _status(error)
    if status is None or status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return KeyProviderUnavailableError(message)
    return KeyProviderError(message, hint="may this service account get and create Secrets in the namespace?")
