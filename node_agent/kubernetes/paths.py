# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Where Kubernetes' files are on a node: kubeadm's own places, all on the state disk, and what the image brings.

Names are those of kubeadm's documentation ("PKI certificates and requirements", "Implementation details").
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

KUBERNETES: Final = Path("/etc/kubernetes")
KUBELET: Final = Path("/var/lib/kubelet")
ETCD: Final = Path("/var/lib/etcd")

ADMIN: Final = KUBERNETES / "admin.conf"
SUPER_ADMIN: Final = KUBERNETES / "super-admin.conf"
KUBELET_CONFIGURATION: Final = KUBERNETES / "kubelet.conf"
CLUSTER_AUTHORITY: Final = KUBERNETES / "pki" / "ca.crt"
ETCD_PKI: Final = KUBERNETES / "pki" / "etcd"
SETUP: Final = KUBERNETES / "constellation"
"""Folder of what we keep beside kubeadm's files."""
DISCOVERY: Final = SETUP / "discovery.conf"
"""Kubeconfig with which kubeadm looks at the cluster that it joins."""

ENCRYPTION_CONFIGURATION: Final = str(KUBERNETES / "encryption-configuration.yaml")
VOLUME_PLUGINS: Final = str(KUBELET / "volume-plugins")  # its default is below /usr, where nobody can write

MEASURED: Final = "/usr/lib/constellation/kubernetes"
"""Folder of the measured root with configuration that is the same in every cluster."""
PATCHES: Final = f"{MEASURED}/patches"
FIRST_OBJECTS: Final = Path(MEASURED) / "objects.yaml"
PROGRAMS: Final = Path("/usr/bin")
PLUGINS: Final = Path("/usr/lib/cni")

CONTAINERD_SOCKET: Final = "unix:///run/containerd/containerd.sock"
