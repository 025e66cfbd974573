# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A confidential cluster on this machine, in Python: two nodes, verified whenever Terraform plans.

python main.py                 # writes cdktf.out/stacks/mini/cdk.tf.json
cd cdktf.out/stacks/mini && terraform init && terraform apply
"""

from __future__ import annotations

from cdktf_constellation import model
from cdktf_constellation.constructs import (
    App,
    AttestationPolicy,
    ClusterVerification,
    ConfidentialCluster,
    ConstellationStack,
    Construct,
    LocalMachines,
    NodeImage,
    TerraformOutput,
)


class Mini(ConstellationStack):
    """One cluster."""

    def __init__(self, scope: Construct, name: str, *, workers: int) -> None:
        super().__init__(scope, name)
        image = NodeImage(self, model.NodeImage("image", attestation_variant="qemu-vtpm", profile="release"))
        policy = AttestationPolicy(self, model.AttestationPolicy("policy", image=image.image))
        groups = [model.NodeGroup.control_planes(1), model.NodeGroup.workers(workers)]
        machines = LocalMachines(
            self,
            model.LocalMachines.of_groups("machines", groups, workspace="mini", name=name, image=image.image),
        )
        cluster = ConfidentialCluster(
            self,
            model.ConfidentialCluster.on(
                machines, "cluster", attestation=policy.attestation, on_destroy=model.OnDestroy.WIPE
            ),
        )
        ClusterVerification(self, model.ClusterVerification.of(cluster, "verification", timeout="5m"))
        TerraformOutput(self, "kubeconfig_path", value=cluster.kubeconfig_path)
        TerraformOutput(self, "node_names", value=cluster.nodes.each("name"))


app = App()
Mini(app, "mini", workers=1)
app.synth()
