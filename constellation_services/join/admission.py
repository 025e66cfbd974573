# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""May this role join now? Workers may. Control planes are few, one joins at a time, and a person may have to approve.

A claim of role alone is not enough: whoever controls a host could start any number of genuine control planes, and each
gets the keys of the cluster.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from lightkube import ApiError
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Node
from lightkube.types import PatchType

from constellation_core.cluster_objects import GROUP, JoinRequestObject
from constellation_core.roles import Role
from constellation_services.join.errors import ForbiddenError, NotAdmittedError, TryAgainError
from constellation_services.join.leases import CONFLICT, NOT_FOUND, Leases, Turn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from lightkube import AsyncClient

    from constellation_core.join_config import ControlPlanes
    from constellation_services.join.registry import Applicant, Registry

TURN: Final = "control-plane-join"
CONTROL_PLANE_LABEL: Final = "node-role.kubernetes.io/control-plane"


@dataclass(frozen=True, slots=True)
class Admission:
    """Decides about roles.

    Attributes:
        client: of the API server.
        registry: who is a node already.
        leases: whose turn it is.
        turn: seconds that one control plane may take to join.
    """

    client: AsyncClient
    registry: Registry
    leases: Leases
    turn: int

    @asynccontextmanager
    async def admitted(self, applicant: Applicant, rule: ControlPlanes) -> AsyncIterator[None]:
        """Let a control plane pass, or say why not. It gives its turn back if it gets no ticket.

        1. Nobody takes the name of another machine: a person would be asked about a node that is there already.
        2. A person approves, where the cluster demands it.
        3. One joins at a time: etcd takes one new member, and has to be whole before the next.
        4. There are never more than the cluster wants; counted in our turn, so that two never both are the last.

        Who is a control plane already, and asks again, has passed 2 and 4.

        Raises:
            ForbiddenError: another machine has this name or waits under it, or a person denied this one.
            NotAdmittedError: there are enough.
            TryAgainError: approval is pending, or it is another one's turn.
        """
        if applicant.application.role is not Role.CONTROL_PLANE:
            yield
            return
        is_new = await self.registry.find(applicant) is None  # 1
        if is_new and rule.approval:
            await self._require_approval(applicant)  # 2
        turn = await self._take_turn(applicant)  # 3
        try:
            if is_new:
                await self._require_place(applicant, rule)  # 4
            yield
        except BaseException:
            await self.leases.give_back(turn)
            raise

    async def note_admitted(self, applicant: Applicant) -> None:
        """Note that a request which waited for a decision was let in."""
        request = await self._request(applicant.application.name)
        if request is not None:
            await self._set_phase(request, "Admitted")

    async def _take_turn(self, applicant: Applicant) -> Turn:
        name, mine = applicant.application.name, applicant.holder
        turn = await self.leases.take_turn(TURN, holder=mine, node=name, seconds=self.turn, is_over=self._has_joined)
        if turn.holder != mine:
            raise TryAgainError(
                f"control plane {_node(turn.holder)} is joining; one joins at a time", cause="not-your-turn"
            )
        return turn

    async def _require_place(self, applicant: Applicant, rule: ControlPlanes) -> None:
        others = await self.registry.control_planes() - {applicant.application.name}
        if len(others) >= rule.max:
            raise NotAdmittedError(
                f"control planes: expected at most {rule.max}, got another one",
                cause="too-many-control-planes",
                hint="raise controlPlanes.max in join-config, or forget a control plane that is gone",
            )

    async def _require_approval(self, applicant: Applicant) -> None:
        request = await self._request(applicant.application.name) or await self._ask(applicant)
        if differences := [name for name, value in _who(applicant).items() if request["spec"][name] != value]:
            raise ForbiddenError(
                f"another machine waits under the name {applicant.application.name}: "
                f"it differs in {', '.join(differences)}",
                cause="name",
                hint=f"if it is not yours: kubectl delete joinrequest {applicant.application.name}",
            )
        decision = request["spec"].get("decision", "")
        if decision == "Denied":
            await self._set_phase(request, "Denied")
            raise ForbiddenError("a person denied this node", cause="denied")
        if decision != "Approved":
            raise TryAgainError(
                "the node waits for approval",
                cause="approval",
                hint=f"constellation nodes approve {applicant.application.name}",
            )
        await self._set_phase(request, "Approved")

    async def _ask(self, applicant: Applicant) -> Any:  # noqa: ANN401 - lightkube's generic objects have no type
        request = JoinRequestObject(
            apiVersion=f"{GROUP}/v1",
            kind="JoinRequest",
            metadata=ObjectMeta(name=applicant.application.name),
            spec={**_who(applicant), "decision": ""},
        )
        try:
            created = await self.client.create(request)
        except ApiError as error:
            if error.status.code != CONFLICT:
                raise
            return await self.client.get(JoinRequestObject, applicant.application.name)
        await self._set_phase(created, "Pending", requestedAt=datetime.now(UTC).isoformat(timespec="seconds"))
        return created

    async def _request(self, name: str) -> Any:  # noqa: ANN401
        try:
            return await self.client.get(JoinRequestObject, name)
        except ApiError as error:
            if error.status.code != NOT_FOUND:
                raise
            return None

    async def _set_phase(self, request: Any, phase: str, **more: str) -> None:  # noqa: ANN401
        if (request.get("status") or {}).get("phase") != phase:
            status = {"status": {"phase": phase, **more}}
            await self.client.patch(JoinRequestObject.Status, request.metadata.name, status, patch_type=PatchType.MERGE)

    async def _has_joined(self, holder: str) -> bool:
        """Tell whether a control plane is up: then the turn is the next one's."""
        try:
            found = await self.client.get(Node, _node(holder))
        except ApiError as error:
            if error.status.code != NOT_FOUND:
                raise
            return False
        labels = found.metadata.labels if found.metadata is not None else None
        conditions = (found.status.conditions if found.status is not None else None) or []
        ready = any(condition.type == "Ready" and condition.status == "True" for condition in conditions)
        return ready and CONTROL_PLANE_LABEL in (labels or {})


def _node(holder: str) -> str:
    return holder.partition("/")[0]


def _who(applicant: Applicant) -> dict[str, str]:
    application = applicant.application
    return {
        "role": application.role.value,
        "variant": applicant.variant,
        "identity": applicant.identity,
        "disk": application.disk,
    }
