# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Bootstrap tokens (Kubernetes "Authenticating with Bootstrap Tokens"): one for each ticket, gone after use.

A token lets a machine ask the API server for little, for fifteen minutes. It is deleted as soon as its node is there:
the id stands in an annotation of the NodeIdentity, so nobody has to be able to list secrets. An API server remembers
for ten seconds that it knew a token.
"""

from __future__ import annotations

import re
import secrets
import string
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from lightkube import ApiError
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Node
from lightkube.resources.core_v1 import Secret as SecretObject
from lightkube.types import PatchType

from constellation_core.cluster_objects import NODE_LABEL, TOKEN_ANNOTATION, NodeIdentityObject
from constellation_core.keys.secret import Secret
from constellation_services.join.leases import CONFLICT, NOT_FOUND
from constellation_services.watching import CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lightkube import AsyncClient

LIFETIME: Final = timedelta(minutes=15)
SYSTEM_NAMESPACE: Final = "kube-system"
GROUPS: Final = "system:bootstrappers:kubeadm:default-node-token"

_CLOCK_SKEW: Final = timedelta(seconds=30)
_SIGNS: Final = string.ascii_lowercase + string.digits
_ID_LENGTH: Final = 6
_SECRET_LENGTH: Final = 16
_ID: Final = re.compile(rf"[a-z0-9]{{{_ID_LENGTH}}}")


@dataclass(frozen=True, slots=True)
class BootstrapToken:
    """One token.

    Attributes:
        id: its public half.
        value: all of it, "<id>.<secret>".
        expires: aware UTC.
    """

    id: str
    value: Secret
    expires: datetime

    @property
    def note(self) -> str:
        """What is noted with the node: id and end."""
        return f"{self.id} {self.expires.isoformat()}"


def new_token() -> BootstrapToken:
    """Make a token that nobody knows yet."""
    token_id, secret = _random(_ID_LENGTH), _random(_SECRET_LENGTH)
    return BootstrapToken(token_id, Secret(f"{token_id}.{secret}".encode()), datetime.now(UTC) + LIFETIME)


class Tokens:
    """Puts tokens into the cluster and takes them out again.

    Args:
        client: of the API server.
    """

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def publish(self, token: BootstrapToken, node: str) -> None:
        """Make the API server accept a token."""
        secret = token.value.reveal().decode().partition(".")[2]
        await self._client.create(
            SecretObject(
                metadata=ObjectMeta(name=_name(token.id), namespace=SYSTEM_NAMESPACE, labels={NODE_LABEL: node}),
                type="bootstrap.kubernetes.io/token",
                stringData={
                    "token-id": token.id,
                    "token-secret": secret,
                    "expiration": token.expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
                    "usage-bootstrap-authentication": "true",
                    "usage-bootstrap-signing": "true",
                    "auth-extra-groups": GROUPS,
                    "description": f"for node {node}, made by the join service",
                },
            )
        )

    async def withdraw(self, token_id: str) -> None:
        """Make the API server refuse a token."""
        try:
            await self._client.delete(SecretObject, _name(token_id), namespace=SYSTEM_NAMESPACE)
        except ApiError as error:
            if error.status.code != NOT_FOUND:
                raise

    async def withdraw_noted(self, note: str | None) -> None:
        """Withdraw the token of a note, if there is one that names a token."""
        token_id = (note or "").partition(" ")[0]
        if _ID.fullmatch(token_id):
            await self.withdraw(token_id)

    async def sweep(self, identities: Iterable[Any]) -> int:
        """Withdraw tokens whose node is there, or whose time is over.

        Args:
            identities: NodeIdentity objects, as the API server gives them.

        Returns:
            How many were withdrawn.
        """
        # As plain data: to make records of a thousand objects would block the event loop.
        pending = {
            found["metadata"]["name"]: (found["metadata"]["resourceVersion"], note)
            for found in identities
            if (note := found["metadata"].get("annotations", {}).get(TOKEN_ANNOTATION))
        }
        if not pending:
            return 0
        born = {
            node.metadata.name: node.metadata.creationTimestamp
            async for node in self._client.list(Node, chunk_size=CHUNK)
            if node.metadata is not None
        }
        over = {node: seen for node, seen in pending.items() if _is_over(seen[1], born.get(node))}
        for node, (version, note) in over.items():
            await self.withdraw_noted(note)
            await self._strike(node, version)
        return len(over)

    async def _strike(self, node: str, version: str) -> None:
        """Strike the note out, unless the node has changed: it may have another token by now."""
        change = {"metadata": {"annotations": {TOKEN_ANNOTATION: None}, "resourceVersion": version}}
        try:
            await self._client.patch(NodeIdentityObject, node, change, patch_type=PatchType.MERGE)
        except ApiError as error:
            if error.status.code not in {CONFLICT, NOT_FOUND}:
                raise


def _is_over(note: str, node_born: datetime | None) -> bool:
    try:
        expires = datetime.fromisoformat(note.partition(" ")[2]).astimezone(UTC)
    except ValueError:  # it is nobody's note, and says nothing
        return True
    used = node_born is not None and node_born >= expires - LIFETIME - _CLOCK_SKEW
    return used or datetime.now(UTC) >= expires


def _name(token: str) -> str:
    return f"bootstrap-token-{token}"


def _random(length: int) -> str:
    return "".join(secrets.choice(_SIGNS) for _ in range(length))
