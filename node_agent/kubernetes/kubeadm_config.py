# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What kubeadm is told: documents of its configuration `kubeadm.k8s.io/v1beta4`, from a plan and nothing else.

    text = init_documents(plan, token=token, patience=Patience.REAL)     # kubeadm init --config
    text = join_documents(plan, patience=Patience.REAL)                  # kubeadm join --config

| what | why |
|---|---|
| addresses of nodes, API server and etcd members are mesh addresses | what goes between nodes goes through the mesh |
| images are never pulled | all of them are in the measured root |
| keys are ECDSA P-256 | made in no time, also by an emulated processor |
| no bootstrap token | who joins has a certificate from its ticket, and discovery by file shows it |

https://kubernetes.io/docs/reference/config-api/kubeadm-config.v1beta4/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import yaml

from constellation_core.networks import API_PORT
from constellation_core.roles import Role
from node_agent.kubernetes import hardening
from node_agent.kubernetes.paths import CONTAINERD_SOCKET, DISCOVERY, ENCRYPTION_CONFIGURATION, MEASURED, PATCHES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from ipaddress import IPv4Address

    from constellation_core.keys.secret import Secret
    from node_agent.kubernetes.patience import Patience
    from node_agent.parts import ClusterPlan, JoinPlan

KUBEADM: Final = "kubeadm.k8s.io/v1beta4"
BRIEFLY: Final = "1s"
"""Lifetime of the token that kubeadm insists on making; the cluster deletes it."""


def init_documents(plan: ClusterPlan, *, token: Secret, patience: Patience) -> str:
    """Give what `kubeadm init` is told, YAML.

    Args:
        plan: of the cluster.
        token: a new bootstrap token that nobody is told: kubeadm publishes the authority only where it makes one.
        patience: how slow the machine is.
    """
    documents = (
        _init_configuration(plan, token, patience),
        cluster_configuration(plan, patience),
        kubelet_configuration(patience),
        proxy_configuration(),
    )
    return yaml.safe_dump_all(documents, sort_keys=False)


def join_documents(plan: JoinPlan, *, patience: Patience) -> str:
    """Give what `kubeadm join` is told, YAML.

    Args:
        plan: of this node.
        patience: how slow the machine is.
    """
    document: dict[str, Any] = {
        "apiVersion": KUBEADM,
        "kind": "JoinConfiguration",
        "discovery": {"file": {"kubeConfigPath": str(DISCOVERY)}},
        "nodeRegistration": _registration(plan.node_name, plan.mesh_address),
        "patches": {"directory": PATCHES},
        "timeouts": patience.kubeadm_timeouts,
    }
    if plan.role is Role.CONTROL_PLANE:
        document["controlPlane"] = {"localAPIEndpoint": _local_endpoint(plan.mesh_address)}
    return yaml.safe_dump(document, sort_keys=False)


def cluster_configuration(plan: ClusterPlan, patience: Patience) -> dict[str, Any]:
    """Give the ClusterConfiguration: kubeadm keeps it in the cluster, and control planes that join read it there."""
    return {
        "apiVersion": KUBEADM,
        "kind": "ClusterConfiguration",
        "clusterName": plan.cluster_name,
        "kubernetesVersion": plan.kubernetes_version,
        "controlPlaneEndpoint": plan.endpoint,
        "encryptionAlgorithm": "ECDSA-P256",
        "networking": {"podSubnet": str(plan.pod_cidr), "serviceSubnet": str(plan.service_cidr)},
        "apiServer": {
            "certSANs": list(_names(plan)),
            "extraArgs": _arguments(hardening.API_SERVER, patience.api_server),
            "extraVolumes": _API_SERVER_VOLUMES,
        },
        "controllerManager": {"extraArgs": _arguments(hardening.CONTROLLER_MANAGER, patience.leader_election)},
        "scheduler": {"extraArgs": _arguments(hardening.SCHEDULER, patience.leader_election)},
        "etcd": {"local": {"extraArgs": _arguments(hardening.ETCD, patience.etcd)}},
    }


def kubelet_configuration(patience: Patience) -> dict[str, Any]:
    """Give the KubeletConfiguration of all nodes."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        **hardening.KUBELET,
        "runtimeRequestTimeout": f"{120 * patience.value}s",
    }


def proxy_configuration() -> dict[str, Any]:
    """Give the KubeProxyConfiguration of all nodes."""
    return {"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration", **hardening.PROXY}


def _init_configuration(plan: ClusterPlan, token: Secret, patience: Patience) -> dict[str, Any]:
    return {
        "apiVersion": KUBEADM,
        "kind": "InitConfiguration",
        "bootstrapTokens": [{"token": token.reveal().decode(), "ttl": BRIEFLY}],
        "localAPIEndpoint": _local_endpoint(plan.node.mesh_address),
        "nodeRegistration": _registration(plan.node.name, plan.node.mesh_address),
        "patches": {"directory": PATCHES},
        "timeouts": patience.kubeadm_timeouts,
    }


def _registration(name: str, mesh_address: IPv4Address) -> dict[str, Any]:
    return {
        "name": name,
        "criSocket": CONTAINERD_SOCKET,
        "imagePullPolicy": "Never",
        "kubeletExtraArgs": _arguments({"node-ip": str(mesh_address)}),
    }


def _local_endpoint(mesh_address: IPv4Address) -> dict[str, Any]:
    return {"advertiseAddress": str(mesh_address), "bindPort": API_PORT}


def _names(plan: ClusterPlan) -> tuple[str, ...]:
    """Names that the API server's certificate has beyond kubeadm's own: each once, in their order."""
    return tuple(dict.fromkeys((*plan.certificate_sans, *plan.node.addresses, "localhost", "127.0.0.1")))


def _arguments(*groups: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for group in groups for name, value in group.items()]


_API_SERVER_VOLUMES: Final = [
    {"name": "measured", "hostPath": MEASURED, "mountPath": MEASURED, "readOnly": True, "pathType": "Directory"},
    {
        "name": "audit-logs",
        "hostPath": hardening.AUDIT_LOGS,
        "mountPath": hardening.AUDIT_LOGS,
        "readOnly": False,
        "pathType": "DirectoryOrCreate",
    },
    {
        "name": "encryption-configuration",
        "hostPath": ENCRYPTION_CONFIGURATION,
        "mountPath": ENCRYPTION_CONFIGURATION,
        "readOnly": True,
        "pathType": "File",
    },
]
