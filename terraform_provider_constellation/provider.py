# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The provider: everything that it has, one line a kind. What each is: the module of the same name."""

from __future__ import annotations

from terraform_provider_constellation.data_sources.attestation import AttestationSource
from terraform_provider_constellation.data_sources.image import ImageSource
from terraform_provider_constellation.data_sources.node_identities import NodeIdentitiesSource
from terraform_provider_constellation.data_sources.verification import VerificationSource
from terraform_provider_constellation.ephemeral.kubeconfig import KubeconfigLease
from terraform_provider_constellation.ephemeral.master_secret import MasterSecretLease
from terraform_provider_constellation.functions.cluster_id import cluster_id
from terraform_provider_constellation.functions.measurements_from_manifest import measurements_from_manifest
from terraform_provider_constellation.functions.measurements_merge import measurements_merge
from terraform_provider_constellation.functions.parse_evidence import parse_evidence
from terraform_provider_constellation.functions.snp_launch_digest import snp_launch_digest
from terraform_provider_constellation.plugin.api import Model, Provider
from terraform_provider_constellation.resources.cluster import ClusterResource
from terraform_provider_constellation.resources.join_config import JoinConfigResource
from terraform_provider_constellation.resources.local_machines import LocalMachinesResource


class Settings(Model):
    """Confidential Kubernetes: every node proves what it booted before it gets a secret. There is nothing to configure.

    Secrets, kubeconfig and machines of a cluster are in its workspace, a folder for you alone, and not in the state.
    """


class Constellation(Provider[Settings]):
    """The provider of Constellation."""

    name = "constellation"

    def __init__(self) -> None:
        self.resources = [ClusterResource(), JoinConfigResource(), LocalMachinesResource()]
        self.data_sources = [AttestationSource(), ImageSource(), NodeIdentitiesSource(), VerificationSource()]
        self.ephemeral_resources = [KubeconfigLease(), MasterSecretLease()]
        self.functions = [
            cluster_id,
            measurements_from_manifest,
            measurements_merge,
            parse_evidence,
            snp_launch_digest,
        ]
