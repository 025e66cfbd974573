# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Key provider `awskms://<region>/<key id or alias>`: random keys, wrapped by AWS Key Management Service.

The first time that a key is asked for, KMS makes it (GenerateDataKey) and returns it twice: in clear, for the caller,
and wrapped, for the store. From then on KMS unwraps what the store keeps (Decrypt). What is wrapped is bound to the id
of the key and to the cluster by KMS's EncryptionContext: KMS does not unwrap it under another name.

Credentials are found as AWS programs find them (environment, profile, web identity, instance).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from attestation.errors import MissingExtraError
from constellation_core.errors import KeyProviderError, KeyProviderUnavailableError
from constellation_core.keys.provider import check_length
from constellation_core.keys.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from constellation_core.keys.provider import WrappedKeyStore
    from constellation_core.keys.uri import AwsKey

_Answer = TypeVar("_Answer")

CONNECT_TIMEOUT: Final = 5.0  # seconds
READ_TIMEOUT: Final = 10.0
ATTEMPTS: Final = 3
CONCURRENCY: Final = 16  # requests to KMS at a time

UNAVAILABLE: Final = frozenset(
    {
        "DependencyTimeoutException",
        "InternalFailure",
        "KMSInternalException",
        "KeyUnavailableException",
        "LimitExceededException",
        "RequestTimeout",
        "ServiceUnavailable",
        "ThrottlingException",
    }
)
HINTS: Final = {
    "AccessDeniedException": "allow kms:GenerateDataKey and kms:Decrypt on this key",
    "DisabledException": "enable the key in KMS",
    "IncorrectKeyException": "what is kept was wrapped by another key: does the alias lead to another key now?",
    "InvalidCiphertextException": "what is kept is damaged, or was wrapped for another id or cluster: do not use it",
    "KMSInvalidStateException": "the key may be about to be deleted: cancel that now",
    "NotFoundException": "check region and key in the URI of the key provider",
}


@dataclass(frozen=True, slots=True)
class _DataKey:
    plain: Secret
    wrapped: bytes


class AwsKmsProvider:
    """Gives keys that KMS wraps. Used with `async with`.

    Args:
        key: the key in KMS that wraps.
        store: keeps the wrapped keys.
        salt: of the cluster's key material, 32 bytes: binds what is wrapped to this cluster.
    """

    def __init__(self, key: AwsKey, store: WrappedKeyStore, salt: bytes) -> None:
        self._key = key
        self._store = store
        self._cluster = hashlib.sha256(salt).hexdigest()
        self._client = _kms_client(key)
        self._threads = ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="kms")

    async def __aenter__(self) -> Self:
        """Begin: nothing is asked of KMS yet."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Let go of connections and threads; requests under way are not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    async def data_key(self, key_id: str, length: int) -> Secret:
        """Give the key of an id, as `KeyProvider` says."""
        check_length(length)
        wrapped = await self._store.read(key_id)
        if wrapped is None:
            made = await self._in_thread(self._generate, key_id, length)
            wrapped = await self._store.create(key_id, made.wrapped)
            if wrapped == made.wrapped:
                return made.plain
        # Somebody else was first, now or long ago: only what is kept counts.
        return _of_length(await self._in_thread(self._unwrap, key_id, wrapped), length)

    async def _in_thread(self, call: Callable[..., _Answer], *arguments: object) -> _Answer:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, *arguments)

    def _generate(self, key_id: str, length: int) -> _DataKey:
        answer = self._ask("generate_data_key", key_id, NumberOfBytes=length)
        return _DataKey(Secret(answer["Plaintext"]), answer["CiphertextBlob"])

    def _unwrap(self, key_id: str, wrapped: bytes) -> Secret:
        return Secret(self._ask("decrypt", key_id, CiphertextBlob=wrapped)["Plaintext"])

    def _ask(self, operation: str, key_id: str, **parameters: object) -> Mapping[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError  # noqa: A004, PLC0415

        context = {"constellation-key-id": key_id, "constellation-cluster": self._cluster}
        try:
            # The key is named for Decrypt too: what another key wrapped, perhaps an attacker's, is refused.
            answer = getattr(self._client, operation)(KeyId=self._key.name, EncryptionContext=context, **parameters)
        except ClientError as error:
            raise _refusal(self._key, key_id, error.response.get("Error", {})) from None
        except (ConnectionError, HTTPClientError) as error:
            raise KeyProviderUnavailableError(f"AWS KMS in {self._key.region} cannot be reached: {error}") from None
        except BotoCoreError as error:
            raise KeyProviderError(
                f"AWS KMS cannot be used: {error}", hint="are there AWS credentials for this program?"
            ) from None
        return dict(answer)


def _of_length(key: Secret, length: int) -> Secret:
    found = len(key.reveal())
    if found != length:
        raise KeyProviderError(f"this key has {found} bytes since it was made, asked for were {length}")
    return key


def _refusal(key: AwsKey, key_id: str, answer: Mapping[str, str]) -> KeyProviderError:
    code = answer.get("Code", "an error without a name")
    message = f"AWS KMS key {key.name} in {key.region}, asked for {key_id!r:.120}, answered {code}"
    if code in UNAVAILABLE:
        return KeyProviderUnavailableError(message)
    return KeyProviderError(message, hint=HINTS.get(code, ""))


def _kms_client(key: AwsKey) -> Any:  # noqa: ANN401 - botocore makes its classes at run time
    try:
        from botocore.config import Config  # noqa: PLC0415
        from botocore.session import get_session  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError("botocore", "aws") from None
    logging.getLogger("botocore").setLevel(logging.INFO)  # below that it writes answers down, and keys are in them
    config = Config(
        connect_timeout=CONNECT_TIMEOUT,
        max_pool_connections=CONCURRENCY,
        read_timeout=READ_TIMEOUT,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
    )
    return get_session().create_client("kms", region_name=key.region, endpoint_url=key.endpoint or None, config=config)
