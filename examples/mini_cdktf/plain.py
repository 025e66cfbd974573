# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The same cluster without Node.js: plain Python objects, written as Terraform JSON.

python plain.py                # writes mini/main.tf.json
cd mini && terraform init && terraform apply
"""

from __future__ import annotations

from pathlib import Path

from cdktf_constellation.model import (
    AttestationPolicy,
    ClusterVerification,
    ConfidentialCluster,
    Configuration,
    LocalMachines,
    NodeImage,
    OnDestroy,
)

image = NodeImage("image", attestation_variant="qemu-vtpm", profile="release")
policy = AttestationPolicy("policy", image=image.image)
machines = LocalMachines("machines", workspace="mini", name="mini", image=image.image, control_planes=1, workers=1)
cluster = ConfidentialCluster.on(machines, "cluster", attestation=policy.attestation, on_destroy=OnDestroy.WIPE)
verification = ClusterVerification.of(cluster, "verification", timeout="5m")

mini = Configuration(
    *(image, policy, machines, cluster, verification),
    outputs={"kubeconfig_path": cluster.kubeconfig_path, "node_names": cluster.nodes.each("name")},
)
mini.write(Path("mini"))
