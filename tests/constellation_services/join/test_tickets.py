# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A node that proved itself gets a ticket, and everything in it is worth what it says."""

from __future__ import annotations

import base64
import os
import uuid
from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import IPv4Network, ip_address
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    SSHCertificate,
    load_ssh_public_identity,
)
from cryptography.x509.oid import ExtendedKeyUsageOID
from lightkube import ApiError

from attestation.policy_fields import Register
from attestation.variant import Variant
from constellation_core.cluster_authority import ClusterAuthority
from constellation_core.cluster_objects import NodeIdentity, NodeIdentityObject
from constellation_core.image_manifest import ImageManifest, sign
from constellation_core.keys.derivation import MEASUREMENT_SECRET, SSH_AUTHORITY, derive, state_disk
from constellation_core.networks import DEFAULT_MESH_NETWORK
from constellation_core.roles import Role
from constellation_core.ssh_authority import SshAuthority
from constellation_core.testing.watching import until
from constellation_services.join.tickets import CONTROL_PLANE_FILES
from tests.constellation_services.join.world import (
    KUBERNETES_VERSION,
    MASTER,
    MEASUREMENT_SALT,
    PROGRAMS,
    SALT,
    VERIFIER,
    name_of,
    new_request,
    user_of,
)

if TYPE_CHECKING:
    from pathlib import Path

    from node_agent.joining import JoinRequest
    from tests.constellation_services.join.world import Cluster


HOST_KEY = (
    ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
    .public_key()
    .public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    .decode()
)


def client_credentials(certificate: bytes, request: JoinRequest) -> dict[str, str]:
    key = request.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return {
        "client_certificate_data": base64.b64encode(certificate).decode(),
        "client_key_data": base64.b64encode(key).decode(),
    }


async def test_a_ticket_has_the_keys_of_the_disk_and_of_the_cluster(cluster: Cluster) -> None:
    disk = str(uuid.uuid4())
    ticket = await cluster.ticket(cluster.machine("b"), disk=disk)
    assert ticket.state_disk_key == derive(MASTER, SALT, state_disk(disk)).reveal()
    assert ticket.measurement_secret == derive(MASTER, SALT, MEASUREMENT_SECRET).reveal()
    assert ticket.measurement_salt == MEASUREMENT_SALT


async def test_a_ticket_says_what_is_true_of_the_cluster(cluster: Cluster) -> None:
    ticket = await cluster.ticket(cluster.machine("b"))
    assert ticket.api_endpoint == cluster.control_plane.url.removeprefix("https://")
    assert ticket.kubernetes_version == KUBERNETES_VERSION
    assert [component.name for component in ticket.components] == [one.name for one in PROGRAMS.components]
    assert ticket.ca_hash == ClusterAuthority.load(cluster.control_plane.pki).ca_hash
    assert not ticket.HasField("image")


async def test_the_certificate_is_the_kubelets_and_nothing_more(cluster: Cluster) -> None:
    ticket = await cluster.ticket(cluster.machine("b"), name="worker-0")
    certificate = x509.load_pem_x509_certificate(ticket.kubelet_certificate)
    certificate.verify_directly_issued_by(ClusterAuthority.load(cluster.control_plane.pki).certificate)
    assert certificate.subject.rfc4514_string() == "CN=system:node:worker-0,O=system:nodes"
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


async def test_the_kubelet_is_who_it_is_to_the_api_server(cluster: Cluster) -> None:
    request = new_request("worker-0")
    ticket = await cluster.send(cluster.machine("b"), request)
    with cluster.user(**client_credentials(ticket.kubelet_certificate, request)) as kubelet:
        user = user_of(kubelet)
        assert user.username == "system:node:worker-0"
        assert "system:nodes" in (user.groups or [])
        assert [name_of(found) for found in kubelet.list(NodeIdentityObject)] == ["worker-0"]


async def test_the_bootstrap_token_is_somebody(cluster: Cluster) -> None:
    ticket = await cluster.ticket(cluster.machine("b"))
    with cluster.user(token=ticket.bootstrap_token) as joining:
        user = user_of(joining)
    assert user.username == f"system:bootstrap:{ticket.bootstrap_token[:6]}"
    assert "system:bootstrappers:kubeadm:default-node-token" in (user.groups or [])


async def test_the_bootstrap_token_lives_for_a_quarter_of_an_hour(cluster: Cluster) -> None:
    ticket = await cluster.ticket(cluster.machine("b"))
    left = ticket.bootstrap_token_expires.ToDatetime(UTC) - datetime.now(UTC)
    assert timedelta(minutes=14) < left <= timedelta(minutes=15)


async def test_a_worker_gets_no_file_of_a_control_plane(cluster: Cluster) -> None:
    assert not (await cluster.ticket(cluster.machine("b"))).control_plane_files


async def test_a_control_plane_gets_the_files_of_one(cluster: Cluster) -> None:
    ticket = await cluster.ticket(cluster.machine("b"), role=Role.CONTROL_PLANE)
    assert [file.path for file in ticket.control_plane_files] == list(CONTROL_PLANE_FILES)
    for file in ticket.control_plane_files:
        assert file.content == (cluster.kubernetes / file.path).read_bytes()


async def test_a_control_plane_learns_how_secrets_are_encrypted_where_they_are(cluster: Cluster) -> None:
    (cluster.kubernetes / "encryption-configuration.yaml").write_bytes(b"kind: EncryptionConfiguration\n")
    ticket = await cluster.ticket(cluster.machine("b"), role=Role.CONTROL_PLANE)
    assert ticket.control_plane_files[-1].path == "encryption-configuration.yaml"


async def test_without_its_files_no_control_plane_gets_a_part_of_them(cluster: Cluster) -> None:
    (cluster.kubernetes / "pki").unlink()
    with pytest.raises(Exception, match="cannot let machines in now"):
        await cluster.ticket(cluster.machine("b"), role=Role.CONTROL_PLANE, timeout=0.5)
    assert cluster.metric("tickets_total", kind="ticket", role="control-plane", outcome="files")
    assert cluster.stored() == []


async def test_nodes_have_addresses_of_their_own_in_the_mesh(cluster: Cluster) -> None:
    machine = cluster.machine("b")
    addresses = {(await cluster.ticket(machine, name=f"worker-{number}")).mesh_address for number in range(5)}
    assert len(addresses) == 5
    assert all(ip_address(address) in DEFAULT_MESH_NETWORK for address in addresses)


async def test_an_address_that_somebody_has_is_not_given_again(cluster: Cluster) -> None:
    """Even where the claim on it is lost."""
    first = await cluster.ticket(cluster.machine("b"), name="worker-0")
    cluster.client.delete(NodeIdentityObject, "worker-0")
    cluster.kubectl("-n", "constellation-system", "delete", "leases", "--all")
    cluster.client.create(other_node("another", first.mesh_address).to_object(annotations={}))
    await until(lambda: cluster.metric("nodes") == 1)
    await until(lambda: "worker-0" not in {name_of(one) for one in cluster.client.list(NodeIdentityObject)})
    second = await cluster.ticket(cluster.machine("b"), name="worker-0")
    assert second.mesh_address != first.mesh_address


async def test_a_node_is_told_of_the_control_planes_and_not_of_itself(cluster: Cluster) -> None:
    machine = cluster.machine("b")
    key, addresses = os.urandom(32), ["192.0.2.7", "node.example"]
    ticket = await cluster.ticket(
        machine, "control-plane-0", role=Role.CONTROL_PLANE, wireguard_public_key=key, addresses=addresses
    )
    assert not ticket.mesh_peers
    await cluster.ticket(machine, name="worker-0")
    await until(lambda: cluster.metric("nodes") == 2)
    (peer,) = (await cluster.ticket(machine, name="worker-1")).mesh_peers
    assert (peer.node, peer.wireguard_public_key, list(peer.addresses)) == ("control-plane-0", key, addresses)
    assert peer.mesh_address == ticket.mesh_address


async def test_a_host_key_is_certified_under_names_that_are_the_nodes_own(cluster: Cluster) -> None:
    """Not under addresses: those it only claims."""
    ticket = await cluster.ticket(
        cluster.machine("b"), "worker-0", host_key=HOST_KEY, addresses=["192.0.2.1", "bank.example"]
    )
    certificate = load_ssh_public_identity(ticket.host_certificate.encode())
    assert isinstance(certificate, SSHCertificate)
    certificate.verify_cert_signature()
    assert certificate.valid_principals == [b"worker-0", ticket.mesh_address.encode()]
    assert ticket.ssh_authority == SshAuthority(derive(MASTER, SALT, SSH_AUTHORITY)).public_key


async def test_without_a_host_key_nobody_asks_for_the_ssh_authority(cluster: Cluster) -> None:
    ticket = await cluster.ticket(cluster.machine("b"))
    assert (ticket.host_certificate, ticket.ssh_authority) == ("", "")
    assert SSH_AUTHORITY not in cluster.keys.asked


async def test_the_cluster_knows_the_node(cluster: Cluster) -> None:
    disk, key = str(uuid.uuid4()), os.urandom(32)
    host_key = HOST_KEY
    ticket = await cluster.ticket(
        cluster.machine("b"), disk=disk, wireguard_public_key=key, host_key=host_key, addresses=["192.0.2.1"]
    )
    await until(partial(has_tickets, cluster, 1))
    node = cluster.node("worker-0")
    assert node["status"]["phase"] == "Admitted"
    assert node["spec"].pop("identity") == identity(cluster, "b")
    assert node["spec"] == {
        "role": "worker",
        "variant": "qemu-vtpm",
        "identityKind": "TPM name",
        "disk": disk,
        "meshAddress": ticket.mesh_address,
        "wireguardPublicKey": base64.b64encode(key).decode(),
        "hostKey": host_key,
        "addresses": ["192.0.2.1"],
    }


async def test_people_see_the_node(cluster: Cluster) -> None:
    ticket = await cluster.ticket(cluster.machine("b"), name="worker-0")
    head, row = cluster.kubectl("get", "nid").splitlines()
    assert head.split() == ["NAME", "ROLE", "VARIANT", "IDENTITY", "DISK", "MESH", "LAST-TICKET", "AGE"]
    assert row.split()[:3] == ["worker-0", "worker", "qemu-vtpm"]
    assert ticket.mesh_address in row


async def test_a_ticket_is_counted_and_told(cluster: Cluster) -> None:
    await cluster.ticket(cluster.machine("b"), name="worker-0")
    assert cluster.metric("tickets_total", kind="ticket", role="worker", outcome="issued") == 1
    assert cluster.metric("ticket_seconds_count", kind="ticket") == 1
    assert cluster.metric("connections_total", outcome="accepted") == 1
    assert await cluster.events("TicketIssued") == ["ticket for worker-0 (worker)"]


async def test_who_asks_again_gets_the_same(cluster: Cluster) -> None:
    machine, disk = cluster.machine("b"), str(uuid.uuid4())
    first = await cluster.ticket(machine, disk=disk)
    stored = [name for name in cluster.stored() if not name.startswith("Secret")]
    second = await cluster.ticket(machine, disk=disk)
    assert stored == [name for name in cluster.stored() if not name.startswith("Secret")]
    for name in ("state_disk_key", "measurement_secret", "mesh_address"):
        assert getattr(first, name) == getattr(second, name)


async def test_who_asks_again_gets_another_token_and_the_first_is_worth_nothing(cluster: Cluster) -> None:
    machine, disk = cluster.machine("b"), str(uuid.uuid4())
    first = await cluster.ticket(machine, disk=disk)
    second = await cluster.ticket(machine, disk=disk)
    assert len(cluster.tokens()) == 1
    with cluster.user(token=first.bootstrap_token) as nobody, pytest.raises(ApiError, match="Unauthorized"):
        user_of(nobody)
    with cluster.user(token=second.bootstrap_token) as joining:
        assert user_of(joining).groups


async def test_who_asks_again_may_have_another_key_and_be_elsewhere(cluster: Cluster) -> None:
    machine, disk, key = cluster.machine("b"), str(uuid.uuid4()), os.urandom(32)
    await cluster.ticket(machine, disk=disk, addresses=["192.0.2.1"])
    await cluster.ticket(machine, disk=disk, addresses=["192.0.2.2"], wireguard_public_key=key)
    spec = cluster.node("worker-0")["spec"]
    assert spec["addresses"] == ["192.0.2.2"]
    assert spec["wireguardPublicKey"] == base64.b64encode(key).decode()


async def test_tickets_of_a_node_are_counted_for_people(cluster: Cluster) -> None:
    machine, disk = cluster.machine("b"), str(uuid.uuid4())
    for number in (1, 2, 3):
        await cluster.ticket(machine, disk=disk)
        await until(partial(has_tickets, cluster, number))


async def test_a_node_that_booted_again_gets_the_key_of_its_disk(cluster: Cluster) -> None:
    machine, disk = cluster.machine("b"), str(uuid.uuid4())
    ticket = await cluster.ticket(machine, disk=disk)
    again = await cluster.rejoin(machine, disk)
    for name in ("state_disk_key", "measurement_secret", "measurement_salt", "mesh_address"):
        assert getattr(again, name) == getattr(ticket, name)
    assert len(cluster.tokens()) == 1
    assert cluster.metric("tickets_total", kind="rejoin", role="any", outcome="issued") == 1


async def test_a_ticket_has_the_manifest_of_the_services_image(empty_cluster: Cluster, tmp_path: Path) -> None:
    measured = {"4": Register(bytes(32), enforced=True)}
    manifest = ImageManifest(
        image="test",
        variant=Variant.QEMU_VTPM,
        measurements=measured,
        components=(),
        created=datetime.now(UTC),
        stub="",
    )
    signed = sign(manifest.to_document(), ec.generate_private_key(ec.SECP256R1()))
    (tmp_path / "measurements.json").write_bytes(signed.document)
    (tmp_path / "measurements.json.sig").write_text(signed.signature_text)
    async with empty_cluster.service(manifest=tmp_path):
        ticket = await empty_cluster.ticket(empty_cluster.machine("b"))
    assert ticket.image == signed.to_message()


async def test_a_small_mesh_has_places_too(empty_cluster: Cluster) -> None:
    network = IPv4Network("10.213.0.0/28")
    empty_cluster.facts.set(mesh_network=network)
    async with empty_cluster.service():
        machine = empty_cluster.machine("b")
        tickets = [await empty_cluster.ticket(machine, name=f"worker-{number}") for number in range(11)]
        addresses = {ip_address(ticket.mesh_address) for ticket in tickets}
        assert len(addresses) == 11
        assert addresses < set(network.hosts())
        with pytest.raises(Exception, match=r"mesh 10\.213\.0\.0/28: no address is left"):
            await empty_cluster.ticket(machine, name="worker-11")


def has_tickets(cluster: Cluster, number: int) -> bool:
    return bool((cluster.node("worker-0").get("status") or {}).get("tickets") == number)


def other_node(name: str, mesh_address: str) -> NodeIdentity:
    return NodeIdentity(
        name=name,
        role=Role.WORKER,
        variant="qemu-vtpm",
        identity="00" * 32,
        identity_kind="TPM name",
        disk=str(uuid.uuid4()),
        wireguard_public_key=bytes(range(32)),
        host_key="",
        mesh_address=mesh_address,
        addresses=(),
    )


def identity(cluster: Cluster, name: str) -> str:
    verdict = VERIFIER.judge(cluster.machine(name).issue(bytes(32)), binding=bytes(32))
    assert verdict.identity
    return verdict.identity.hex()
