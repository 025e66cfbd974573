# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The objects of the model as constructs, for programs that use CDK Terrain (`cdktn`) or CDKTF (`cdktf`).

    class Lab(ConstellationStack):
        def __init__(self, scope: Construct, id_: str) -> None:
            super().__init__(scope, id_)
            image = NodeImage(self, model.NodeImage("image"))
            machines = LocalMachines(self, model.LocalMachines("machines", workspace="lab", image=image.image))
            cluster = ConfidentialCluster(self, model.ConfidentialCluster.on(machines, "cluster"))

Importing this starts Node.js, which the libraries run on. `App`, `Construct` and `TerraformOutput` are those of the
library that was found; what else it has, import from it, after this.
"""

from __future__ import annotations

from cdktf_constellation.constructs.kinds import (
    AttestationPolicy,
    ClusterVerification,
    ConfidentialCluster,
    LocalMachines,
    NodeImage,
)
from cdktf_constellation.constructs.typed import App, ConstellationStack, Construct, TerraformOutput

__all__ = [
    "App",
    "AttestationPolicy",
    "ClusterVerification",
    "ConfidentialCluster",
    "ConstellationStack",
    "Construct",
    "LocalMachines",
    "NodeImage",
    "TerraformOutput",
]
