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
    Problem,
    ProviderError,
    computed,
    exactly_one_of,
    optional,
    rule,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from constellation_engine.cluster.credentials import Credentials


class Kubeconfig(Model):
    """Read the administrator's kubeconfig of a cluster, and its parts for providers that want them one by one.

    It is there when the cluster is. Take `kubeconfig_path` or `cluster_id` from the resource `constellation_cluster`:
    then Terraform waits for the cluster. With `workspace`, a control plane is named that answers.
    """

    workspace: str | None = optional("Workspace of a cluster on this machine.")
    kubeconfig_path: str | None = optional("The file itself.")
    cluster_id: str | None = optional("ID of the cluster that the workspace must be of.", validators=[cluster_id_text])
    kubeconfig: str = computed("The file.", sensitive=True)
    host: str = computed("URL of the API server.")
    client_certificate: str = computed("Certificate of the administrator, PEM.")
    client_key: str = computed("Its key, PEM.", sensitive=True)
    cluster_ca_certificate: str = computed("Who certified the API server, PEM.")

    places = exactly_one_of("workspace", "kubeconfig_path")

    @rule
    def a_workspace_knows_its_cluster(self) -> Iterator[Problem]:
        """Nothing in a kubeconfig says which cluster it is."""
        if self.cluster_id is not None and self.workspace is None:
            detail = "The ID goes with workspace: nothing in a kubeconfig says which cluster it is of."
            yield Problem("Invalid combination", detail, "cluster_id")


class KubeconfigLease(EphemeralResource[Kubeconfig]):
    """Reads it for as long as Terraform needs it."""

    name = "constellation_kubeconfig"

    async def open(self, config: Kubeconfig, call: Lease) -> Kubeconfig:
        """Read it."""
        del call
        with telling("No kubeconfig", at="workspace" if config.workspace is not None else "kubeconfig_path"):
            found = await asyncio.to_thread(_credentials, config)
        config.kubeconfig = found.kubeconfig.reveal().decode()
        config.host = found.host
        config.client_certificate = found.certificate
        config.client_key = found.key.reveal().decode()
        config.cluster_ca_certificate = found.authority
        return config


def _credentials(config: Kubeconfig) -> Credentials:
    from constellation_engine.cluster.credentials import read_credentials  # noqa: PLC0415 - Terraform starts us often

    path = (
        Path(config.kubeconfig_path or "") if config.workspace is None else _kept(config.workspace, config.cluster_id)
    )
    return read_credentials(path)


def _kept(folder: str, cluster_id: str | None) -> Path:
    """Give the kubeconfig of a workspace, which leads to a control plane that answers."""
    from constellation_engine.local_cluster import Workspace  # noqa: PLC0415 - as above
    from constellation_engine.local_cluster.way_to_api import keep_way_to_api  # noqa: PLC0415

    workspace = Workspace.open(Path(folder))
    known = workspace.state.cluster_id.hex()
    if not known or cluster_id not in (None, known):
        got = (
            known or "none yet: take kubeconfig_path or cluster_id of constellation_cluster, and Terraform waits for it"
        )
        raise ProviderError("Another cluster", f"Expected {cluster_id or 'a cluster'}, got {got}.", at="workspace")
    keep_way_to_api(workspace)
    return workspace.kubeconfig
