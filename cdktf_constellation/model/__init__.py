# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A confidential cluster as frozen dataclasses. They need neither Node.js nor another library.

image = NodeImage("node", attestation_variant="qemu-vtpm")
machines = LocalMachines("mini", workspace="mini", image=image.image, workers=2)
cluster = ConfidentialCluster.on(machines, "mini")
Configuration(image, machines, cluster, outputs={"kubeconfig": cluster.kubeconfig_path}).write(Path("."))
"""

from __future__ import annotations

from cdktf_constellation.model.attestation import AttestationPolicy
from cdktf_constellation.model.cluster import ConfidentialCluster, ControlPlaneLimits, NetworkConfig, OnDestroy
from cdktf_constellation.model.configuration import Configuration, Output
from cdktf_constellation.model.image import NodeImage
from cdktf_constellation.model.lifecycle import Condition, Lifecycle, Timeouts
from cdktf_constellation.model.machines import LocalMachines, NodeGroup, Role
from cdktf_constellation.model.references import Reference
from cdktf_constellation.model.verification import ClusterVerification, OnRefusal

__all__ = [
    "AttestationPolicy",
    "ClusterVerification",
    "Condition",
    "ConfidentialCluster",
    "Configuration",
    "ControlPlaneLimits",
    "Lifecycle",
    "LocalMachines",
    "NetworkConfig",
    "NodeGroup",
    "NodeImage",
    "OnDestroy",
    "OnRefusal",
    "Output",
    "Reference",
    "Role",
    "Timeouts",
]
