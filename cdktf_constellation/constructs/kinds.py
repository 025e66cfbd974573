# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""One construct a kind. Each takes the scope and an object of the model, and has the outputs of the model."""

from __future__ import annotations

from cdktf_constellation import model
from cdktf_constellation.constructs.typed import DescribedData, DescribedResource
from cdktf_constellation.model.attestation import PolicyOutputs
from cdktf_constellation.model.cluster import ClusterOutputs
from cdktf_constellation.model.image import ImageOutputs
from cdktf_constellation.model.machines import MachinesOutputs
from cdktf_constellation.model.verification import VerificationOutputs


class NodeImage(DescribedData[model.NodeImage], ImageOutputs):
    """Which node image."""


class AttestationPolicy(DescribedData[model.AttestationPolicy], PolicyOutputs):
    """What is acceptable."""


class LocalMachines(DescribedResource[model.LocalMachines], MachinesOutputs):
    """Machines on this host."""


class ConfidentialCluster(DescribedResource[model.ConfidentialCluster], ClusterOutputs):
    """A confidential cluster."""


class ClusterVerification(DescribedData[model.ClusterVerification], VerificationOutputs):
    """A verification of all nodes of a cluster."""
