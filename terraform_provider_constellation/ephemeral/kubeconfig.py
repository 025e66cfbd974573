# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`ephemeral.constellation_kubeconfig`: how to reach a cluster, for other providers; stored nowhere."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from terraform_provider_constellation.errors import telling
from terraform_provider_constellation.objects.words import cluster_id_text
from terraform_provider_constellation.plugin.api import (
    EphemeralResource,
    Lease,
    Model,
    ProviderError,
    computed,
    optional,
    required,
)

if TYPE_CHECKING:
    from constellation_engine.cluster.credentials import Credentials


class Kubeconfig(Model):
    """Read the administrator's kubeconfig of a cluster, and its parts for providers that want them one by one.

    It is there when the cluster is. Name the cluster's `cluster_id`, and Terraform waits for it.
    """

    workspace: str = required("Workspace of the cluster.")
    cluster_id: str | None = optional("ID of the cluster that it must be.", validators=[cluster_id_text])
    kubeconfig: str = computed("The file.", sensitive=True)
    host: str = computed("URL of the API server.")
    client_certificate: str = computed("Certificate of the administrator, PEM.")
    client_key: str = computed("Its key, PEM.", sensitive=True)
    cluster_ca_certificate: str = computed("Who certified the API server, PEM.")


class KubeconfigLease(EphemeralResource[Kubeconfig]):
    """Reads it for as long as Terraform needs it."""

    name = "constellation_kubeconfig"

    async def open(self, config: Kubeconfig, call: Lease) -> Kubeconfig:
        """Read it."""
        del call
        with telling("No kubeconfig", at="workspace"):
            found = await asyncio.to_thread(_credentials, config)
        config.kubeconfig = found.kubeconfig.reveal().decode()
        config.host = found.host
        config.client_certificate = found.certificate
        config.client_key = found.key.reveal().decode()
        config.cluster_ca_certificate = found.authority
        return config


def _credentials(config: Kubeconfig) -> Credentials:
    from constellation_engine.cluster.credentials import read_credentials  # noqa: PLC0415 - Terraform starts us often
    from constellation_engine.local_cluster import Workspace  # noqa: PLC0415
    from constellation_engine.local_cluster.way_to_api import keep_way_to_api  # noqa: PLC0415

    workspace = Workspace.open(Path(config.workspace))
    known = workspace.state.cluster_id.hex()
    if not known or config.cluster_id not in (None, known):
        got = known or "none yet: name cluster_id of the cluster here, and Terraform waits for it"
        raise ProviderError(
            "Another cluster", f"Expected {config.cluster_id or 'a cluster'}, got {got}.", at="workspace"
        )
    keep_way_to_api(workspace)
    return read_credentials(workspace.kubeconfig)
