# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a plan of a cluster says: what cannot be is refused before anything happens, and what is wrong is repaired.

A cluster keeps some things for life. To replace it would be the wrong answer to a small change, so that the plan says
what to do instead.
"""

# ruff: noqa: PLC0415 - the engine is loaded by whoever needs it

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from constellation_core import rules
from terraform_provider_constellation.errors import telling
from terraform_provider_constellation.objects.join_policy import ControlPlaneLimits, same_join_config, written
from terraform_provider_constellation.plugin.api import (
    Change,
    ProviderError,
    UnknownValueError,
    is_known,
    set_unknown,
)
from terraform_provider_constellation.resources.cluster_elsewhere import is_elsewhere
from terraform_provider_constellation.resources.node_image import where_image_is

if TYPE_CHECKING:
    from constellation_engine.local_cluster import Workspace
    from terraform_provider_constellation.resources.cluster import Cluster

NEW_MACHINES = (
    "A cluster keeps it for life. For a new cluster make new machines: "
    "`terraform apply -replace=constellation_local_machines.NAME`."
)
_FOR_LIFE = ("api_server_cert_sans", "network_config")
_AFTERWARDS = ("nodes", "host", "out_of_cluster_endpoint")  # another control plane may lead to the API
_ONCE = ("cluster_id", "kubeconfig_path", "cluster_ca_certificate")
JOIN_ARGUMENTS = ("join_config", "attestation", "control_planes")
ARGUMENT = "argument"


def plan(change: Change[Cluster]) -> None:
    """Plan one."""
    if change.replacements:
        return
    if change.prior is not None and is_elsewhere(change.prior.workspace):
        change.warn("This provider cannot change the cluster", "; ".join(change.prior.problems), at="workspace")
        return
    workspace = _workspace(change.planned)
    if workspace is not None:
        refuse_what_does_not_fit(change.config, workspace, planning=True)
    if change.prior is not None and change.prior.cluster_id is not None:
        _refuse_changes(change.planned, change.prior)
    _plan_join_config(change, workspace)
    if change.prior is not None:
        _plan_repair(change.planned, change.prior)


def _workspace(planned: Cluster) -> Workspace | None:
    """Open the workspace, if it is there already."""
    from constellation_engine.local_cluster import Workspace
    from constellation_engine.local_cluster.workspace import STATE_FILE

    if not is_known(planned, "workspace") or not (Path(planned.workspace) / STATE_FILE).exists():
        return None
    with telling("There are no machines for the cluster", at="workspace"):
        return Workspace.open(Path(planned.workspace))


def refuse_what_does_not_fit(config: Cluster, workspace: Workspace, *, planning: bool = False) -> None:
    """Refuse what is not so of the machines, as far as it is known: a plan asks, and apply asks again.

    Args:
        config: what is asked for.
        workspace: of the machines.
        planning: whether machines may still go over to the image that is asked for.

    Raises:
        ProviderError: the configuration and the workspace differ.
    """
    for refuse in (
        _refuse_other_name,
        _refuse_impossible_image if planning and workspace.state.cluster_id else _refuse_other_image,
        _refuse_other_network,
        _refuse_other_kubernetes,
        _refuse_other_secret,
    ):
        with suppress(UnknownValueError):
            refuse(config, workspace)


def _refuse_other_name(config: Cluster, workspace: Workspace) -> None:
    name = workspace.state.spec.name
    if config.name not in (None, name):
        _refuse("The machines are of another cluster", f"Expected {name}, got {config.name}.", "name")


def _refuse_other_image(config: Cluster, workspace: Workspace) -> None:
    booted = workspace.state.spec.image
    if config.image is not None and where_image_is(config.image).resolve() != booted:
        detail = f"Expected {where_image_is(config.image).resolve()}, they boot {booted}."
        _refuse("The machines boot another image", detail, "image")


def _refuse_impossible_image(config: Cluster, workspace: Workspace) -> None:
    from constellation_engine.local_cluster.image_change import require_possible
    from constellation_engine.node_image.image_folder import ImageFolder

    if config.image is not None and (image := where_image_is(config.image).resolve()) != workspace.state.spec.image:
        with telling("The machines boot another image", at="image"):
            require_possible(workspace, ImageFolder.open(image))


def _refuse_other_network(config: Cluster, _workspace: Workspace) -> None:
    from constellation_engine.local_cluster.machines import SEGMENT

    nodes = config.network_config.ip_cidr_node if config.network_config is not None else None
    if nodes not in (None, str(SEGMENT)):
        _refuse("The machines have other addresses", f"Expected {SEGMENT}, got {nodes}.", "network_config")


def _refuse_other_kubernetes(config: Cluster, workspace: Workspace) -> None:
    from constellation_engine.node_image.image_folder import ImageFolder

    if config.kubernetes_version is None:
        return
    with telling("The image cannot be used", at="kubernetes_version"):
        brought = f"v{ImageFolder.open(workspace.state.spec.image).read_build().kubernetes}"
    wanted = rules.canonical_kubernetes_version(config.kubernetes_version)
    if wanted != brought:
        detail = (
            f"Expected {wanted}, the image of the machines brings {brought}. Nodes have Kubernetes from their measured "
            f"image: `constellation image build --kubernetes {wanted}` makes one with it. Then replace the machines."
        )
        _refuse("The image brings another Kubernetes", detail, "kubernetes_version")


def _refuse_other_secret(config: Cluster, workspace: Workspace) -> None:
    """A cluster that is initialised keeps its secret. A write-only one was taken if its version is the same."""
    from terraform_provider_constellation.resources.cluster_work import chosen_secret, is_taken

    if not workspace.state.cluster_id:
        return
    with telling("The master secret cannot be read", at="workspace"):
        chosen = chosen_secret(config, workspace)
        if chosen is None or is_taken(config, workspace) or chosen == workspace.master_secret():
            return
    name = "master_secret" if config.master_secret is not None else "master_secret_wo"
    _refuse("The master secret cannot change", f"The cluster was initialised with another one. {NEW_MACHINES}", name)


def _refuse_changes(planned: Cluster, prior: Cluster) -> None:
    for name in _FOR_LIFE:
        if is_known(planned, name) and getattr(planned, name) != getattr(prior, name):
            _refuse(f"{name} cannot change", NEW_MACHINES, name)


def _plan_join_config(change: Change[Cluster], workspace: Workspace | None) -> None:
    """Plan what the join-config shall be; if the cluster has another one, that is a difference to repair."""
    config, planned = change.config, change.planned
    given = [name for name in JOIN_ARGUMENTS if _is_given(config, name)]
    was_given = change.private.get("join_config") == ARGUMENT
    change.private["join_config"] = ARGUMENT if given else ""
    try:
        with telling("The join-config cannot be used", at=given[0] if given else ""):
            wanted = wanted_join_config(config, workspace, forget_argument=was_given and not given)
    except UnknownValueError:
        wanted = None
    if wanted is None or (not given and _may_follow_an_image(change, workspace, wanted)):
        set_unknown(planned, "join_config")
    elif not is_known(planned, "join_config") or not same_join_config(planned.join_config or "", wanted):
        planned.join_config = wanted


def _may_follow_an_image(change: Change[Cluster], workspace: Workspace | None, wanted: str) -> bool:
    """Tell whether machines may go over to another image before it is the cluster's turn: then it lists that image.

    Nobody tells this resource what becomes of the machines. A cluster that is well is not changed at all.
    """
    prior = change.prior
    if prior is None or workspace is None or not workspace.state.cluster_id:
        return False
    return workspace.state.upgrading or (not prior.ready and same_join_config(prior.join_config or "", wanted))


def wanted_join_config(config: Cluster, workspace: Workspace | None, *, forget_argument: bool) -> str | None:
    """Say which machines shall join: by argument, else as the workspace says, else those of the image.

    Args:
        config: what the user wrote.
        workspace: of the machines; None where there are none yet.
        forget_argument: whether the workspace has it from an argument that is not there any more.

    Returns:
        The document; None where it is not known before there are machines.
    """
    from constellation_core.join_config import ControlPlanes
    from constellation_engine.local_cluster.settings import image_join_config, join_config

    if config.join_config is not None:
        return config.join_config
    if config.attestation is not None:
        limits = config.control_planes or _usual_limits(workspace)
        return written([config.attestation], limits) if limits is not None else None
    if workspace is None:
        return None
    if config.control_planes is None:
        return (image_join_config if forget_argument else join_config)(workspace).to_yaml()
    bounded = ControlPlanes(max=config.control_planes.max, approval=config.control_planes.approval)
    return replace(image_join_config(workspace), control_planes=bounded).to_yaml()


def _usual_limits(workspace: Workspace | None) -> ControlPlaneLimits | None:
    """Let as many control planes join as there are machines for it."""
    if workspace is None:
        return None
    return ControlPlaneLimits(max=workspace.state.spec.control_planes, approval=False)


def _plan_repair(planned: Cluster, prior: Cluster) -> None:
    """If anything is wrong or changes, apply brings the cluster to where all is well, or fails."""
    is_well = prior.ready and is_known(planned, "nodes")
    if is_well and planned == prior:
        return
    planned.ready, planned.reachable, planned.attested, planned.problems = True, True, True, []
    for name in (*_AFTERWARDS, *(name for name in _ONCE if getattr(prior, name) is None)):
        set_unknown(planned, name)


def _is_given(config: Cluster, name: str) -> bool:
    return not is_known(config, name) or getattr(config, name) is not None


def _refuse(summary: str, detail: str, at: str) -> None:
    raise ProviderError(summary, detail, at=at)
