# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What is done for a cluster, by the engine: the phases of `constellation mini up`, and changes of the join-config."""

# ruff: noqa: PLC0415 - the engine is loaded by whoever needs it

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING

from terraform_provider_constellation.errors import telling
from terraform_provider_constellation.objects.join_policy import same_join_config
from terraform_provider_constellation.plugin.api import ProviderError, is_known
from terraform_provider_constellation.resources.cluster_plan import (
    JOIN_ARGUMENTS,
    refuse_what_does_not_fit,
    wanted_join_config,
)
from terraform_provider_constellation.resources.cluster_reading import client_of, described, open_workspace
from terraform_provider_constellation.resources.long_work import tell

if TYPE_CHECKING:
    from collections.abc import Callable

    from constellation_core.keys.master_secret import MasterSecret
    from constellation_engine.local_cluster import Workspace
    from constellation_engine.local_cluster.settings import ClusterSettings
    from terraform_provider_constellation.plugin.api import Operation
    from terraform_provider_constellation.resources.cluster import Cluster


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done.

    Attributes:
        workspace: of the cluster.
        join_config: which machines shall join.
    """

    workspace: Workspace
    join_config: str

    def is_initialised(self) -> bool:
        """Whether there is a cluster, up or not."""
        return bool(self.workspace.state.cluster_id)

    def bring_up(self, go_on: Callable[[], None]) -> None:
        """Go through all phases; those that are over take a moment."""
        from constellation_engine.local_cluster import bring_up

        bring_up(self.workspace, report=tell, go_on=go_on)
        self._put_join_config()

    def bring_to(self, prior: Cluster, go_on: Callable[[], None]) -> None:
        """Change what is to be changed, and go through the phases if that is not all."""
        if self.is_initialised() and prior.reachable:
            self._put_join_config()  # first: machines may wait for it
        if not prior.ready or prior.machines != _names(self.workspace):
            self.bring_up(go_on)

    def described(self, plan: Cluster) -> Cluster:
        """Write down what is there now."""
        for name in plan.__members__:
            if not is_known(plan, name):
                setattr(plan, name, None)
        return described(plan, self.workspace)

    def _put_join_config(self) -> None:
        from constellation_engine.cluster.join_config import put, stored

        with client_of(self.workspace.kubeconfig) as client:
            if not same_join_config(stored(client).text, self.join_config):
                tell("join-config: the cluster has another one")
                put(client, self.join_config)


def prepared(plan: Cluster, call: Operation[Cluster]) -> Work:
    """Write down in the workspace what is asked for."""
    from constellation_engine.local_cluster.settings import image_join_config, read_settings, write_settings

    workspace = open_workspace(plan if is_known(plan, "uid") else _without_uid(plan))
    _require_machines(plan, workspace)
    refuse_what_does_not_fit(call.config, workspace)
    with telling("The settings of the cluster cannot be used"):
        _take_secret(call.config, workspace)
        settings = _asked_for(plan, call.config, workspace, read_settings(workspace))
        write_settings(workspace, settings)
        return Work(workspace, settings.join_config or image_join_config(workspace).to_yaml())


def _asked_for(plan: Cluster, config: Cluster, workspace: Workspace, before: ClusterSettings) -> ClusterSettings:
    networks = config.network_config
    return replace(
        before,
        certificate_sans=tuple(config.api_server_cert_sans or ()),
        service_network=IPv4Network(networks.ip_cidr_service) if networks else before.service_network,
        pod_network=IPv4Network(networks.ip_cidr_pod) if networks else before.pod_network,
        join_config=_asked_join_config(plan, config, workspace, before.join_config),
        master_secret=_label(config) or before.master_secret,
    )


def _asked_join_config(plan: Cluster, config: Cluster, workspace: Workspace, there: str) -> str:
    """Give what the arguments say. Without any the workspace keeps its own, unless the plan went back to the image."""
    from constellation_engine.local_cluster.settings import image_join_config

    if any(getattr(config, name) is not None for name in JOIN_ARGUMENTS):
        return wanted_join_config(config, workspace, forget_argument=False) or ""
    usual = image_join_config(workspace).to_yaml()
    goes_back = is_known(plan, "join_config") and same_join_config(plan.join_config or "", usual)
    return "" if goes_back else there


def chosen_secret(config: Cluster, workspace: Workspace) -> MasterSecret | None:
    """Give the master secret of the user's, if there is one."""
    from constellation_core.keys.master_secret import MasterSecret
    from constellation_core.keys.secret import Secret

    text = config.master_secret or config.master_secret_wo
    if text is None:
        return None
    salt = config.master_secret_salt
    return MasterSecret(Secret(bytes.fromhex(text)), bytes.fromhex(salt) if salt else workspace.master_secret().salt)


def is_taken(config: Cluster, workspace: Workspace) -> bool:
    """Whether a write-only secret of this version was taken over already: it may be a new one at every plan."""
    from constellation_engine.local_cluster.settings import read_settings

    label = _label(config)
    return bool(label) and label == read_settings(workspace).master_secret


def _take_secret(config: Cluster, workspace: Workspace) -> None:
    chosen = chosen_secret(config, workspace)
    if chosen is not None and not is_taken(config, workspace):
        workspace.use_master_secret(chosen)


def _label(config: Cluster) -> str:
    return f"version {config.master_secret_wo_version}" if config.master_secret_wo is not None else ""


def remove(state: Cluster) -> None:
    """Do what the user wants when the resource is destroyed."""
    from constellation_engine.local_cluster.phases import wipe
    from constellation_engine.local_cluster.workspace import STATE_FILE

    if state.on_destroy == "wipe" and (Path(state.workspace) / STATE_FILE).exists():
        wipe(open_workspace(state), report=tell)


def _require_machines(plan: Cluster, workspace: Workspace) -> None:
    names = _names(workspace)
    if is_known(plan, "machines") and plan.machines != names:
        detail = f"Expected {', '.join(names)}, as the workspace has them, got {', '.join(plan.machines) or 'none'}."
        raise ProviderError("The workspace has other machines", detail, at="machines")


def _names(workspace: Workspace) -> list[str]:
    from constellation_engine.local_cluster.machines import places

    return [place.name for place in places(workspace)]


def _without_uid(plan: Cluster) -> Cluster:
    plan.uid = None  # type: ignore[assignment] # the workspace says it
    return plan
