# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Join: what a node does with its ticket, and when its disk becomes the cluster's.

A worker's disk is adopted last, as with init: who loses power before that boots as a new machine, and asks again. With
a control plane that is too late. Once etcd has taken it in, a cluster of two needs it for every vote, and a disk that
is formatted again has forgotten what it voted for. So its disk is adopted when all is on it that a later boot needs to
finish the join (`Kubernetes.start_kubelet`), and nobody in the cluster knows of the node yet.
"""

from __future__ import annotations

from datetime import UTC
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING

from constellation_core.component_list import Component
from constellation_core.keys.secret import Secret
from constellation_core.networks import DEFAULT_MESH_NETWORK
from constellation_core.roles import Role
from node_agent.clock import require_right_time
from node_agent.errors import PermanentError
from node_agent.membership import ClusterKeys, Membership, peers_of
from node_agent.parts import ControlPlaneFile, JoinPlan

if TYPE_CHECKING:
    from constellation_proto import join_pb2
    from node_agent.joining import JoinRequest
    from node_agent.machine import Machine


async def join(machine: Machine, request: JoinRequest, ticket: join_pb2.Ticket) -> None:
    """Become a node of a cluster.

    1. The ticket is read whole, and addresses and clock fit; so far, nothing has happened.
    2. The boot is marked: from here on, an error ends in another boot.
    3. The mesh comes up, and nothing leaves beside it.
    4. Kubernetes is set up; before etcd takes a control plane in, its disk is adopted (attack: the host cuts the power
       in between, again and again, until dead members outnumber the others).
    5. The disk of a worker is adopted. From here on, the node comes back as what it is.

    Args:
        machine: this one, its disk prepared.
        request: what it asked for.
        ticket: what it got.

    Raises:
        PermanentError: it did not work; whether the boot is marked says what that means.
    """
    keys, plan = ClusterKeys.of_ticket(ticket), _plan(machine, request, ticket)  # 1
    membership = _membership(plan, ticket, keys)
    if ticket.HasField("now"):
        require_right_time(ticket.now.ToDatetime(UTC), "the join service")
    machine.require_outside((membership.service_cidr, membership.pod_cidr, DEFAULT_MESH_NETWORK))
    await machine.mark(keys, ticket.measurement_salt)  # 2
    await machine.enter_mesh(membership, keys.measurement)  # 3

    if machine.emergency_access is not None:
        machine.emergency_access.keep(certificate=ticket.host_certificate, authority=ticket.ssh_authority)

    async def adopt() -> None:
        await machine.adopt(membership, keys)

    early = adopt if plan.role is Role.CONTROL_PLANE else None
    await machine.set_up(lambda report: machine.parts.kubernetes.join(plan, report, resumable=early))  # 4
    await adopt()  # 5


def _membership(plan: JoinPlan, ticket: join_pb2.Ticket, keys: ClusterKeys) -> Membership:
    try:
        return Membership(
            name=plan.node_name,
            role=plan.role,
            cluster_id=keys.cluster_id(ticket.measurement_salt),
            measurement_salt=ticket.measurement_salt,
            mesh_address=plan.mesh_address,
            pod_cidr=IPv4Network(ticket.pod_cidr),
            service_cidr=IPv4Network(ticket.service_cidr),
            endpoint=plan.api_endpoint,
            peers=peers_of(ticket.mesh_peers),
        )
    except ValueError as error:
        raise PermanentError(f"the ticket: {error}") from None


def _plan(machine: Machine, request: JoinRequest, ticket: join_pb2.Ticket) -> JoinPlan:
    try:
        return JoinPlan(
            node_name=machine.metadata.name,
            role=machine.metadata.role,
            mesh_address=IPv4Address(ticket.mesh_address),
            kubernetes_version=ticket.kubernetes_version,
            components=tuple(Component(item.name, item.version, item.sha256) for item in ticket.components),
            api_endpoint=ticket.api_endpoint,
            ca_hash=ticket.ca_hash,
            bootstrap_token=Secret(ticket.bootstrap_token.encode()),
            kubelet_certificate=ticket.kubelet_certificate,
            kubelet_key=request.key,
            control_plane_files=tuple(
                ControlPlaneFile(file.path, Secret(file.content)) for file in ticket.control_plane_files
            ),
        )
    except (TypeError, ValueError) as error:  # an empty secret is no secret
        raise PermanentError(f"the ticket: {error}") from None
