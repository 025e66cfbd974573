# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The objects of the model as constructs, for programs that use CDK Terrain (`cdktn`) or CDKTF (`cdktf`).

    class Lab(ConstellationStack):
        def __init__(self, scope: Construct, id_: str) -> None:
            super().__init__(scope, id_)
            image = NodeImage(self, model.NodeImage("image"))
            machines = LocalMachines(self, model.LocalMachines("machines", workspace="lab", image=image.image))
            cluster = ConfidentialCluster(self, model.ConfidentialCluster.on(machines, "cluster"))

Importing this starts Node.js, which the libraries run on.
"""

from __future__ import annotations

from cdktf_constellation.constructs.kinds import (
    AttestationPolicy,
    ClusterVerification,
    ConfidentialCluster,
    LocalMachines,
    NodeImage,
)
from cdktf_constellation.constructs.typed import ConstellationStack

__all__ = [
    "AttestationPolicy",
    "ClusterVerification",
    "ConfidentialCluster",
    "ConstellationStack",
    "LocalMachines",
    "NodeImage",
]
