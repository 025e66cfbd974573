# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Plans of tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import IPv4Address, IPv4Network
from typing import Final
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from constellation_core.component_list import Component
from constellation_core.keys.key_material import KeyMaterial
from constellation_core.keys.secret import Secret
from constellation_core.keys.uri import ProviderUri
from constellation_core.roles import Role
from node_agent.kubernetes.authority import hash_of_authority
from node_agent.parts import ClusterPlan, ControlPlaneFile, JoinPlan, OwnNode

SECRETS_KEY: Final = Secret(b"e" * 32)
JOIN_CONFIG: Final = "version: 1\n"
DISK: Final = UUID("7b3c1f0e-2a44-4c58-9d1b-0f6a5e8c9d10")


def cluster_plan(
    version: str = "v1.36.4",
    *,
    name: str = "control-plane-0",
    mesh_address: str = "10.213.1.0",
    address: str = "10.99.0.1",
) -> ClusterPlan:
    """Give the plan of a cluster."""
    node = OwnNode(
        name=name,
        role=Role.CONTROL_PLANE,
        variant="qemu-vtpm",
        identity="ab" * 32,
        identity_kind="TPM attestation key",
        disk=DISK,
        wireguard_public_key=b"w" * 32,
        mesh_address=IPv4Address(mesh_address),
        addresses=(address,),
    )
    return ClusterPlan(
        node=node,
        cluster_name="mini",
        cluster_id=b"c" * 32,
        kubernetes_version=version,
        components=(Component("kubelet", version.removeprefix("v"), "a" * 64),),
        endpoint=f"{address}:6443",
        certificate_sans=("mini.example.org",),
        service_cidr=IPv4Network("10.96.0.0/12"),
        pod_cidr=IPv4Network("10.244.0.0/16"),
        mesh_network=IPv4Network("10.213.0.0/16"),
        join_config=JOIN_CONFIG,
        key_material=KeyMaterial(ProviderUri.parse("cluster://"), b"s" * 32, Secret(b"m" * 32)),
        measurement_salt=b"t" * 32,
        secrets_key=SECRETS_KEY,
    )


NAMES: Final = (
    "pki/ca.crt",
    "pki/ca.key",
    "pki/sa.key",
    "pki/sa.pub",
    "pki/front-proxy-ca.crt",
    "pki/front-proxy-ca.key",
    "pki/etcd/ca.crt",
    "pki/etcd/ca.key",
    "encryption-configuration.yaml",
)


@cache
def certificate(name: str) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Give a certificate, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = datetime(2026, 11, 21, 12, tzinfo=UTC)
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 1, start, start + timedelta(days=365))
    return builder.sign(key, SHA256()), key


def pem(name: str = "kubernetes") -> bytes:
    """Give a certificate, PEM."""
    return certificate(name)[0].public_bytes(Encoding.PEM)


def join_plan(
    *, control_plane: bool = False, files: tuple[ControlPlaneFile, ...] | None = None, whose: str = "worker-0"
) -> JoinPlan:
    """Give the plan of a node that joins."""
    shared = tuple(ControlPlaneFile(path, Secret(pem() if path == "pki/ca.crt" else path.encode())) for path in NAMES)
    return JoinPlan(
        node_name="control-plane-1" if control_plane else "worker-0",
        role=Role.CONTROL_PLANE if control_plane else Role.WORKER,
        mesh_address=IPv4Address("10.213.3.0" if control_plane else "10.213.2.0"),
        kubernetes_version="v1.36.4",
        components=cluster_plan().components,
        api_endpoint="10.99.0.1:6443",
        ca_hash=hash_of_authority(certificate("kubernetes")[0]),
        bootstrap_token=Secret(b"abcdef.0123456789abcdef"),
        kubelet_certificate=pem(whose),
        kubelet_key=certificate("worker-0")[1],
        control_plane_files=files if files is not None else shared if control_plane else (),
    )
