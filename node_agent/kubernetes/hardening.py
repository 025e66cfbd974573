# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Settings of Kubernetes' own programs that differ from their defaults, each with its reason.

They follow the CIS Kubernetes Benchmark where it asks for more than kubeadm does. The references are the programs' own:
https://kubernetes.io/docs/reference/command-line-tools-reference/, `etcd --help`, and for kubelet and kube-proxy their
configuration APIs `kubelet.config.k8s.io/v1beta1` and `kubeproxy.config.k8s.io/v1alpha1`.

What the benchmark asks for and is not here, on purpose: `--kubelet-certificate-authority`, because nobody would approve
certificates for kubelets to serve with, and the way to a kubelet leads through the mesh; the admission plugin
`AlwaysPullImages`, because a node pulls nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from node_agent.kubernetes.paths import ENCRYPTION_CONFIGURATION, MEASURED, VOLUME_PLUGINS

if TYPE_CHECKING:
    from collections.abc import Mapping

AUDIT_LOGS: Final = "/var/log/kubernetes"
MINIMUM_TLS: Final = "VersionTLS13"  # everybody who speaks to Kubernetes knows it by now
NODE_MASK: Final = 24  # bits of a node's part of the pod network: 254 pods, and a /16 has room for 256 nodes

API_SERVER: Final[Mapping[str, str]] = {
    "admission-control-config-file": f"{MEASURED}/admission.yaml",
    "audit-log-maxage": "30",  # days
    "audit-log-maxbackup": "5",  # files
    "audit-log-maxsize": "50",  # MB, each
    "audit-log-path": f"{AUDIT_LOGS}/audit.log",
    "audit-policy-file": f"{MEASURED}/audit-policy.yaml",
    "authentication-config": f"{MEASURED}/authentication.yaml",
    "enable-admission-plugins": "NodeRestriction,EventRateLimit",
    "encryption-provider-config": ENCRYPTION_CONFIGURATION,
    "profiling": "false",
    "service-account-extend-token-expiration": "false",  # a token ends when it says so, not a year later
    "tls-min-version": MINIMUM_TLS,
}
CONTROLLER_MANAGER: Final[Mapping[str, str]] = {
    "flex-volume-plugin-dir": VOLUME_PLUGINS,
    "node-cidr-mask-size": str(NODE_MASK),
    "profiling": "false",
    "terminated-pod-gc-threshold": "1000",
    "tls-min-version": MINIMUM_TLS,
}
SCHEDULER: Final[Mapping[str, str]] = {"profiling": "false", "tls-min-version": MINIMUM_TLS}
ETCD: Final[Mapping[str, str]] = {
    "auto-compaction-mode": "periodic",
    "auto-compaction-retention": "1h",
    "tls-min-version": "TLS1.3",
}

KUBELET: Final[Mapping[str, Any]] = {
    "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": True}},
    "authorization": {"mode": "Webhook"},
    "cgroupDriver": "systemd",
    "enableDebuggingHandlers": True,  # `kubectl logs` and `exec`; who may is the API server's decision
    "eventRecordQPS": 5,
    "eventBurst": 50,
    "evictionHard": {  # absolute: a tenth of a small state disk is little, of a large one much
        "memory.available": "100Mi",
        "nodefs.available": "300Mi",
        "nodefs.inodesFree": "5%",
        "imagefs.available": "300Mi",
    },
    "failSwapOn": True,  # pages with secrets are not written anywhere
    "kubeReserved": {"cpu": "50m", "memory": "150Mi"},
    "makeIPTablesUtilChains": False,  # there is no iptables: kube-proxy speaks nftables
    "podPidsLimit": 4096,
    "protectKernelDefaults": True,  # the image sets what the kubelet would (sysctl.d/90-kubernetes.conf)
    "readOnlyPort": 0,
    "rotateCertificates": True,
    "seccompDefault": True,
    "serializeImagePulls": False,
    "streamingConnectionIdleTimeout": "5m0s",
    "systemReserved": {"cpu": "50m", "memory": "150Mi"},
    "tlsMinVersion": MINIMUM_TLS,
    "volumePluginDir": VOLUME_PLUGINS,
}
PROXY: Final[Mapping[str, Any]] = {
    "mode": "nftables",
    # Else node ports answer at the node's mesh address alone, and who wants to join is not in the mesh yet.
    "nodePortAddresses": ["0.0.0.0/0"],
}
