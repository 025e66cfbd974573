# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Which machine is which node: NodeIdentity objects, and claims on disks and mesh addresses.

1. The disk is claimed for the node and its machine (attack: another machine asks for the key of this disk).
2. A mesh address is claimed for the node, so that no two have the same.
3. Its mesh key is nobody else's, and of its addresses those are written that are no other's (`belongings`).
4. The object named like the node is created. Whoever finds it there must be the same machine with the same role and
   disk (attack: another machine takes the name, and with it the rights, of a node).

A service that ends between two steps leaves claims of a node that comes again and finds them its own.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from lightkube import ApiError
from lightkube.types import PatchType

from constellation_core.cluster_objects import TOKEN_ANNOTATION, NodeIdentity, NodeIdentityObject
from constellation_core.names import NAMESPACE
from constellation_core.roles import Role
from constellation_services.join.belongings import Belongings
from constellation_services.join.errors import ForbiddenError, NotAdmittedError, TryAgainError
from constellation_services.join.leases import CONFLICT, NOT_FOUND, Leases

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping
    from ipaddress import IPv4Network

    from lightkube import AsyncClient

    from attestation.verdict import Verdict
    from constellation_services.join.application import Application, Renewal
    from constellation_services.join.facts import Facts
    from constellation_services.join.roster import Roster
    from constellation_services.join.tokens import Tokens

_RESERVED: Final = 256  # first addresses of the mesh, for what is no node; fewer in a small network
_ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class Applicant:
    """A machine that proved itself, and what it asks for.

    Attributes:
        application: what it asks for.
        identity: what identifies its devices, SHA-256 in hexadecimal.
        identity_kind: what that was computed from.
        variant: platform that attested it.
    """

    application: Application
    identity: str
    identity_kind: str
    variant: str

    @property
    def holder(self) -> str:
        """What is written on its claims: the node and its machine."""
        return f"{self.application.name}/{self.identity}"

    @classmethod
    def of(cls, application: Application, verdict: Verdict) -> Applicant:
        """Put together what was asked and what was proved.

        Raises:
            ForbiddenError: nothing identifies the machine.
        """
        return cls(application, identity_of(verdict), verdict.identity_kind, verdict.evidence.variant.value)


@dataclass(frozen=True, slots=True)
class Registration:
    """What the cluster knows of a node after it asked.

    Attributes:
        identity: who it is.
        tickets: how many it got, with this one.
    """

    identity: NodeIdentity
    tickets: int = 1


def identity_of(verdict: Verdict) -> str:
    """Give what identifies a machine.

    Raises:
        ForbiddenError: nothing does; a disk could not be bound to it.
    """
    if verdict.identity is None:
        raise ForbiddenError("identity: expected evidence that identifies the machine, got none", cause="identity")
    return verdict.identity.hex()


class Registry:
    """Reads and writes who is who.

    Args:
        client: of the API server.
        leases: claims.
        facts: of the cluster; the network of the mesh is among them.
        roster: nodes that are known; it may be a moment behind.
        tokens: bootstrap tokens; what is noted of one is not overwritten before it is withdrawn.
    """

    def __init__(self, client: AsyncClient, leases: Leases, facts: Facts, roster: Roster, tokens: Tokens) -> None:
        self._client = client
        self._leases = leases
        self._facts = facts
        self._roster = roster
        self._tokens = tokens
        self._belongings = Belongings(client, facts, roster)

    async def find(self, applicant: Applicant) -> NodeIdentity | None:
        """Find the node that the applicant already is; None if it is new, or was a moment ago.

        Raises:
            ForbiddenError: another machine has its name, or it has another disk or role.
        """
        name = applicant.application.name
        found = await self._read(name) if name in self._roster else None
        return _same(found, applicant) if found is not None else None

    async def register(self, applicant: Applicant, *, token_note: str) -> Registration:
        """Make the applicant a node, or find that it is one.

        Args:
            applicant: who asks.
            token_note: what is noted of the bootstrap token that it will get.

        Returns:
            What the cluster knows of it now.

        Raises:
            ForbiddenError: name, disk, mesh key or an address are another's.
            NotAdmittedError: the mesh has no address left.
            ApiError: the API server does not answer or refuses.
        """
        application = applicant.application
        known = await self.find(applicant)
        addresses = self._belongings.own_addresses(application.name, application.addresses)  # 3
        applicant = replace(applicant, application=replace(application, addresses=addresses))
        await self._belongings.require_own_key(application.name, application.wireguard_public_key)  # 3
        await self._claim_disk(applicant)  # 1
        if known is None:
            wanted = _identity(applicant, await self._claim_address(application.name))  # 2
            try:
                await self._client.create(wanted.to_object(annotations={TOKEN_ANNOTATION: token_note}))  # 4
            except ApiError as error:
                if error.status.code != CONFLICT:
                    raise
            else:
                return Registration(wanted)
        return await self._renew(applicant, token_note)

    async def of_disk(self, disk: str, identity: str) -> NodeIdentity:
        """Find the node that holds a disk.

        Raises:
            ForbiddenError: nobody holds it, or another machine does.
        """
        holder = await self._leases.holder(_disk_claim(disk))
        name, _, holding = (holder or "").partition("/")
        if holder is not None and holding != identity:
            raise _not_yours(disk, holder)
        found = await self._read(name) if name else None
        node = NodeIdentity.from_object(found) if found is not None else None
        if node is None or (node.disk, node.identity) != (disk, identity):
            raise ForbiddenError(f"disk {disk}: no node of this cluster holds it", cause="unknown-disk")
        return node

    async def renew(self, node: NodeIdentity, renewal: Renewal) -> NodeIdentity:
        """Write down the mesh key and the addresses that a node has since it booted again; its peers follow.

        Args:
            node: who it is, as `of_disk` found it.
            renewal: what it says is its own now.

        Raises:
            ForbiddenError: key or an address are another's, or it was forgotten in this moment.
            ApiError: the API server does not answer or refuses.
        """
        addresses = self._belongings.own_addresses(node.name, renewal.addresses)
        await self._belongings.require_own_key(node.name, renewal.wireguard_public_key)

        async def change(found: Any) -> NodeIdentity:  # noqa: ANN401
            known = NodeIdentity.from_object(found)
            if (known.disk, known.identity) != (node.disk, node.identity):
                raise ForbiddenError(f"disk {node.disk}: no node of this cluster holds it", cause="unknown-disk")
            return replace(known, wireguard_public_key=renewal.wireguard_public_key, addresses=addresses)

        return NodeIdentity.from_object(await self._rewrite(node.name, change))

    async def control_planes(self) -> set[str]:
        """Give the names of all control planes."""
        found = self._client.list(NodeIdentityObject, fields={"spec.role": Role.CONTROL_PLANE.value})
        return {NodeIdentity.from_object(identity).name async for identity in found}

    async def note_ticket(self, registration: Registration) -> None:
        """Note that a node got a ticket, for people."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        status = {"status": {"phase": "Admitted", "lastTicket": now, "tickets": registration.tickets}}
        await self._client.patch(
            NodeIdentityObject.Status, registration.identity.name, status, patch_type=PatchType.MERGE
        )

    async def _claim_disk(self, applicant: Applicant) -> None:
        application, mine = applicant.application, applicant.holder
        holder = await self._leases.claim(_disk_claim(application.disk), holder=mine, node=application.name)
        if holder != mine:
            raise _not_yours(application.disk, holder)

    async def _claim_address(self, node: str) -> str:
        taken = self._roster.addresses_but(node)
        network = self._facts.current()[0].mesh_network
        for address in _candidates(network, node):
            if address not in taken:
                claim = "mesh-" + address.replace(".", "-")
                if await self._leases.claim(claim, holder=node, node=node) == node:
                    return address
        raise NotAdmittedError(f"mesh {network}: no address is left", cause="mesh-full")

    async def _renew(self, applicant: Applicant, token_note: str) -> Registration:
        """Write down what a node that asks again says of itself now."""

        async def change(found: Any) -> NodeIdentity:  # noqa: ANN401
            known = _same(found, applicant)
            await self._tokens.withdraw_noted(found["metadata"].get("annotations", {}).get(TOKEN_ANNOTATION))
            return _identity(applicant, known.mesh_address)

        written = await self._rewrite(applicant.application.name, change, {TOKEN_ANNOTATION: token_note})
        tickets = (written.get("status") or {}).get("tickets", 0) + 1
        return Registration(NodeIdentity.from_object(written), tickets)

    async def _rewrite(
        self, name: str, change: Callable[[Any], Awaitable[NodeIdentity]], annotations: Mapping[str, str] | None = None
    ) -> Any:  # noqa: ANN401
        """Change an object, whoever else changes it too."""
        for _ in range(_ATTEMPTS):
            found = await self._client.get(NodeIdentityObject, name)
            wanted = await change(found)
            metadata = found["metadata"]
            known = {**metadata.get("annotations", {}), **(annotations or {})}
            try:
                return await self._client.replace(
                    wanted.to_object(annotations=known, resource_version=metadata["resourceVersion"])
                )
            except ApiError as error:
                if error.status.code != CONFLICT:
                    raise
        raise TryAgainError(f"node {name} changes all the time", cause="unavailable")

    async def _read(self, name: str) -> Any:  # noqa: ANN401
        try:
            return await self._client.get(NodeIdentityObject, name)
        except ApiError as error:
            if error.status.code != NOT_FOUND:
                raise
            return None


def _identity(applicant: Applicant, mesh_address: str) -> NodeIdentity:
    application = applicant.application
    return NodeIdentity(
        name=application.name,
        role=application.role,
        variant=applicant.variant,
        identity=applicant.identity,
        identity_kind=applicant.identity_kind,
        disk=application.disk,
        wireguard_public_key=application.wireguard_public_key,
        host_key=application.host_key,
        mesh_address=mesh_address,
        addresses=application.addresses,
    )


def _same(found: Any, applicant: Applicant) -> NodeIdentity:  # noqa: ANN401
    """Read an object, and check that the applicant is this node."""
    known = NodeIdentity.from_object(found)
    wanted = _identity(applicant, known.mesh_address)
    differences = [
        f"{name}: expected {getattr(known, name)}, got {getattr(wanted, name)}"
        for name in ("variant", "identity", "disk", "role")
        if getattr(known, name) != getattr(wanted, name)
    ]
    if differences:
        raise ForbiddenError(
            f"node {known.name} is another machine: {'; '.join(differences)}",
            cause="name",
            hint=f"if that machine is gone for good, forget it: constellation nodes forget {known.name}",
        )
    return known


def _not_yours(disk: str, holder: str) -> ForbiddenError:
    return ForbiddenError(
        f"disk {disk} belongs to another machine, or to this one under another name",
        cause="disk-of-another",
        hint=f"it is {holder}; if that is over: kubectl -n {NAMESPACE} delete lease {_disk_claim(disk)}",
    )


def _disk_claim(disk: str) -> str:
    return f"disk-{disk}"


def _candidates(network: IPv4Network, node: str) -> Iterator[str]:
    """Give the addresses of a mesh in an order of the node's own, so that nodes seldom try the same."""
    reserved = min(_RESERVED, network.num_addresses // 4)
    places = network.num_addresses - reserved - 1  # the last one is no host's
    start = int.from_bytes(hashlib.sha256(node.encode()).digest()[:8], "big")
    for step in range(places):
        yield str(network[reserved + (start + step) % places])
