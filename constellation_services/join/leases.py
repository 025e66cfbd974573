# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Leases as claims: whoever creates one first holds it, whichever instance of the service asks.

An API server creates an object once. So two nodes cannot both be the first with a disk, and two instances of this
service cannot let two control planes join at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from lightkube import ApiError
from lightkube.models.coordination_v1 import LeaseSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.coordination_v1 import Lease

from constellation_core.cluster_objects import NODE_LABEL
from constellation_core.names import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from lightkube import AsyncClient

NOT_FOUND: Final = 404
CONFLICT: Final = 409


@dataclass(frozen=True, slots=True)
class Turn:
    """Whose turn it is.

    Attributes:
        lease: name of the lease.
        holder: who has it.
        version: `resourceVersion` of the lease as it was written for this holder; None if it is another one's turn.
    """

    lease: str
    holder: str
    version: str | None = None


class Leases:
    """Claims in the namespace of Constellation.

    Args:
        client: of the API server.
    """

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def claim(self, name: str, *, holder: str, node: str) -> str:
        """Claim for ever, unless somebody holds it.

        Args:
            name: of the lease.
            holder: who claims.
            node: for whose sake; a label, so that a node can be forgotten with all it holds.

        Returns:
            Who holds it now: the claimer, or somebody else.
        """
        try:
            await self._client.create(_lease(name, holder, node))
        except ApiError as error:
            if error.status.code != CONFLICT:
                raise
            current = await self.holder(name)
            return await self.claim(name, holder=holder, node=node) if current is None else current
        return holder

    async def holder(self, name: str) -> str | None:
        """Ask who holds a lease: None if there is none, empty if it does not say."""
        lease = await self._read(name)
        return _holder(lease) if lease is not None else None

    async def take_turn(
        self, name: str, *, holder: str, node: str, seconds: int, is_over: Callable[[str], Awaitable[bool]]
    ) -> Turn:
        """Claim for some time, after whoever holds it now.

        Args:
            name: of the lease.
            holder: who claims.
            node: for whose sake, as in `claim`.
            seconds: how long others wait at most.
            is_over: tells whether the turn of a holder is over before its time.

        Returns:
            Whose turn it is now.
        """
        lease = await self._read(name)
        try:
            if lease is None:
                return _turn(await self._client.create(_lease(name, holder, node, seconds)))
            current = _holder(lease)
            if current not in {"", holder} and not _expired(lease) and not await is_over(current):
                return Turn(name, current)
            return _turn(await self._client.replace(_lease(name, holder, node, seconds, replaces=_turn(lease))))
        except ApiError as error:
            if error.status.code not in {CONFLICT, NOT_FOUND}:
                raise
            return await self.take_turn(name, holder=holder, node=node, seconds=seconds, is_over=is_over)

    async def give_back(self, turn: Turn) -> None:
        """End a turn before its time, unless its holder took it again meanwhile."""
        try:
            await self._client.replace(_lease(turn.lease, None, None, replaces=turn))
        except ApiError as error:
            if error.status.code not in {CONFLICT, NOT_FOUND}:
                raise

    async def _read(self, name: str) -> Lease | None:
        try:
            return await self._client.get(Lease, name, namespace=NAMESPACE)
        except ApiError as error:
            if error.status.code != NOT_FOUND:
                raise
            return None


def _lease(
    name: str, holder: str | None, node: str | None, seconds: int | None = None, replaces: Turn | None = None
) -> Lease:
    now = datetime.now(UTC)
    labels = {NODE_LABEL: node} if node is not None else None
    version = replaces.version if replaces is not None else None
    return Lease(
        metadata=ObjectMeta(name=name, namespace=NAMESPACE, labels=labels, resourceVersion=version),
        spec=LeaseSpec(holderIdentity=holder, acquireTime=now, renewTime=now, leaseDurationSeconds=seconds),
    )


def _turn(lease: Lease) -> Turn:
    metadata = lease.metadata or ObjectMeta()
    return Turn(metadata.name or "", _holder(lease), metadata.resourceVersion)


def _holder(lease: Lease) -> str:
    return (lease.spec.holderIdentity if lease.spec is not None else None) or ""


def _expired(lease: Lease) -> bool:
    spec = lease.spec
    if spec is None or spec.renewTime is None or spec.leaseDurationSeconds is None:
        return True
    return datetime.now(UTC) >= spec.renewTime + timedelta(seconds=spec.leaseDurationSeconds)
