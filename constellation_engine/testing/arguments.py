# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""How etcd and kube-apiserver are started for tests: close to kubeadm's manifests, on loopback.

The reference is `kube-apiserver --help` and `etcd --help`; file names are those of `constellation_engine.testing.pki`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

ISSUER: Final = "https://kubernetes.default.svc.cluster.local"
SERVICE_NETWORK: Final = "10.96.0.0/12"


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports of 127.0.0.1."""

    api_server: int
    etcd: int
    etcd_peer: int


def etcd_arguments(pki: Path, ports: Ports, data: Path) -> list[str]:
    """Give the arguments of an etcd with one member.

    Args:
        pki: folder of keys and certificates.
        ports: where it listens.
        data: its folder.
    """
    url, peer = f"https://127.0.0.1:{ports.etcd}", f"http://127.0.0.1:{ports.etcd_peer}"
    return [
        f"--data-dir={data}",
        f"--listen-client-urls={url}",
        f"--advertise-client-urls={url}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        f"--cert-file={pki / 'etcd' / 'server.crt'}",
        f"--key-file={pki / 'etcd' / 'server.key'}",
        f"--trusted-ca-file={pki / 'etcd' / 'ca.crt'}",
        "--client-cert-auth",
        "--unsafe-no-fsync",  # nobody misses the data of a test after a power cut
    ]


def api_server_arguments(pki: Path, ports: Ports) -> list[str]:
    """Give the arguments of an API server.

    Args:
        pki: folder of keys and certificates.
        ports: where it listens, and etcd.
    """
    return [
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={ports.api_server}",
        "--endpoint-reconciler-type=none",  # a loopback address cannot be an endpoint of the service "kubernetes"
        f"--tls-cert-file={pki / 'apiserver.crt'}",
        f"--tls-private-key-file={pki / 'apiserver.key'}",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--etcd-servers=https://127.0.0.1:{ports.etcd}",
        f"--etcd-cafile={pki / 'etcd' / 'ca.crt'}",
        f"--etcd-certfile={pki / 'apiserver-etcd-client.crt'}",
        f"--etcd-keyfile={pki / 'apiserver-etcd-client.key'}",
        f"--kubelet-client-certificate={pki / 'apiserver-kubelet-client.crt'}",
        f"--kubelet-client-key={pki / 'apiserver-kubelet-client.key'}",
        f"--requestheader-client-ca-file={pki / 'front-proxy-ca.crt'}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={pki / 'front-proxy-client.crt'}",
        f"--proxy-client-key-file={pki / 'front-proxy-client.key'}",
        f"--service-account-issuer={ISSUER}",
        f"--service-account-key-file={pki / 'sa.pub'}",
        f"--service-account-signing-key-file={pki / 'sa.key'}",
        f"--service-cluster-ip-range={SERVICE_NETWORK}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--enable-bootstrap-token-auth=true",
        "--allow-privileged=true",
    ]
