# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Init: this node becomes the first of a cluster.

The state disk stays under its throw-away key until Kubernetes runs. Whoever loses power before that boots as a new
machine and waits for the same request again: there is no half cluster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from constellation_core.keys.derivation import KUBE_SECRETS, SECRET_SIZE, SSH_AUTHORITY
from constellation_core.keys.opening import open_provider
from constellation_core.networks import DEFAULT_MESH_NETWORK
from constellation_proto import init_pb2
from node_agent.loops import foreign_errors
from node_agent.membership import ClusterKeys, Membership, keep_kubeconfig
from node_agent.parts import ClusterPlan, OwnNode

if TYPE_CHECKING:
    from constellation_core.keys.provider import KeyProvider
    from constellation_core.keys.secret import Secret
    from node_agent.init_request import InitOrder
    from node_agent.init_run import InitRun
    from node_agent.machine import Machine, PreparedDisk
    from node_agent.self_image import SelfImage

FIRST_MESH_ADDRESS: Final = DEFAULT_MESH_NETWORK[256 + 1]  # the first 256 are for what is no node


async def initialize(
    machine: Machine, disk: PreparedDisk, order: InitOrder, *, itself: SelfImage, run: InitRun
) -> init_pb2.Done:
    """Make a cluster of this node.

    1. Keys derive from the key material, and the addresses fit; so far, nothing has happened.
    2. The boot is marked: from here on, an error ends in another boot.
    3. The mesh comes up, and nothing leaves beside it.
    4. Kubernetes is set up.
    5. The disk is adopted: from here on, the node comes back as what it is.

    Args:
        machine: this one.
        disk: its state disk, under a throw-away key.
        order: what was asked for.
        itself: who this machine is.
        run: told of progress.

    Raises:
        PermanentError: it did not work; whether the boot is marked says what that means.
    """
    run.phase("keys")
    machine.require_outside((order.service_cidr, order.pod_cidr, DEFAULT_MESH_NETWORK))
    with foreign_errors("key material"):
        async with open_provider(order.key_material) as provider:  # 1
            keys = await ClusterKeys.derive(provider, disk.uuid, order.measurement_salt)
            secrets_key = await provider.data_key(KUBE_SECRETS, SECRET_SIZE)
            await _certify_host(machine, disk, provider)
    cluster_id = await machine.mark(keys, order.measurement_salt)  # 2
    run.phase("keys", finished=True)
    membership = Membership(
        name=machine.metadata.name,
        role=machine.metadata.role,
        cluster_id=cluster_id,
        measurement_salt=order.measurement_salt,
        mesh_address=FIRST_MESH_ADDRESS,
        pod_cidr=order.pod_cidr,
        service_cidr=order.service_cidr,
        endpoint=order.endpoint,
    )
    run.phase("mesh")
    await machine.enter_mesh(membership, keys.measurement)  # 3
    run.phase("mesh", finished=True)
    run.phase("kubernetes")
    plan = _plan(machine, disk, order, itself, membership, secrets_key)
    kubeconfig = await machine.set_up(lambda report: machine.parts.kubernetes.init(plan, report), run.log)  # 4
    run.phase("kubernetes", finished=True)
    with foreign_errors("the state disk"):
        keep_kubeconfig(machine.settings.state, kubeconfig)
    await machine.adopt(membership, keys)  # 5
    return init_pb2.Done(kubeconfig=kubeconfig, cluster_id=cluster_id, owner=membership.name)


async def _certify_host(machine: Machine, disk: PreparedDisk, provider: KeyProvider) -> None:
    """Certify our own SSH host key, where the image has a server: there is no join service yet that could."""
    if machine.emergency_access is None:
        return
    from constellation_core.ssh_authority import SshAuthority  # noqa: PLC0415 - hardly any image needs it

    authority = SshAuthority(await provider.data_key(SSH_AUTHORITY, SECRET_SIZE))
    certificate = authority.certify_host(disk.host_key, principals=(machine.metadata.name, str(FIRST_MESH_ADDRESS)))
    machine.emergency_access.keep(certificate=certificate, authority=authority.public_key)


def _plan(
    machine: Machine,
    disk: PreparedDisk,
    order: InitOrder,
    itself: SelfImage,
    membership: Membership,
    secrets_key: Secret,
) -> ClusterPlan:
    node = OwnNode(
        name=membership.name,
        role=membership.role,
        variant=machine.facts.variant.value,
        identity=itself.identity,
        identity_kind=itself.identity_kind,
        disk=disk.uuid,
        wireguard_public_key=disk.public_key,
        mesh_address=membership.mesh_address,
        addresses=machine.addresses(),
        host_key=disk.host_key,
    )
    return ClusterPlan(
        node=node,
        cluster_name=order.cluster_name,
        cluster_id=membership.cluster_id,
        kubernetes_version=order.kubernetes_version,
        components=order.components,
        endpoint=order.endpoint,
        certificate_sans=order.certificate_sans,
        service_cidr=order.service_cidr,
        pod_cidr=order.pod_cidr,
        mesh_network=DEFAULT_MESH_NETWORK,
        join_config=order.join_config,
        key_material=order.key_material,
        measurement_salt=order.measurement_salt,
        secrets_key=secrets_key,
    )
