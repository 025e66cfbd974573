# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation_join_config`: which machines may join a cluster, as a resource of its own.

A cluster always has a join-config: to make this resource is to change it, and to destroy it goes back to what was there
before.
"""

# ruff: noqa: PLC0415 - the engine is loaded by whoever needs it

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from terraform_provider_constellation.errors import is_told, telling
from terraform_provider_constellation.objects.attestation import Attestation  # noqa: TC001 - annotations are the schema
from terraform_provider_constellation.objects.join_policy import (
    ControlPlaneLimits,
    join_config_document,
    same_join_config,
    written,
)
from terraform_provider_constellation.plugin.api import (
    Call,
    Change,
    Length,
    Model,
    Operation,
    ProviderError,
    Resource,
    TimeLimits,
    Timeouts,
    UnknownValueError,
    at_most_one_of,
    block,
    computed,
    exactly_one_of,
    is_known,
    optional,
    replace,
    set_unknown,
)
from terraform_provider_constellation.resources.cluster_reading import client_of

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from lightkube import Client

BEFORE = "before"


class JoinConfig(Model):
    """Which machines may join a cluster.

    Change it before machines of a new image come. Every change is in the cluster's history. What somebody else changed
    is a difference that the plan shows. When the resource is destroyed, the cluster goes back to what it had before.

    With `constellation_cluster`, say who may join in one place: here, or in its arguments.
    """

    workspace: str | None = optional("Workspace of a cluster on this host.", plan=[replace])
    kubeconfig_path: str | None = optional("Kubeconfig of a cluster that lives elsewhere.", plan=[replace])
    document: str = optional(
        "The whole document, YAML. Default: written from `attestations` and `control_planes`.",
        computed=True,
        validators=[join_config_document],
        same=same_join_config,
    )
    attestations: list[Attestation] | None = optional(
        "What machines must be to join, one of several.", validators=[Length(1, 32)]
    )
    control_planes: ControlPlaneLimits | None = optional("Who may become a control plane.")
    revision: int = computed("Number of this version in the cluster's history.")
    timeouts: Timeouts | None = block("How long things may take.")

    places = exactly_one_of("workspace", "kubeconfig_path")
    contents = exactly_one_of("document", "attestations")
    limits = at_most_one_of("document", "control_planes")


class JoinConfigResource(Resource[JoinConfig]):
    """Writes join-configs."""

    name = "constellation_join_config"
    limits: ClassVar[TimeLimits] = TimeLimits()

    async def plan(self, change: Change[JoinConfig]) -> None:
        """Write the document, so that the plan shows what changes in it."""
        planned = change.planned
        try:
            with telling("The join-config cannot be used", at="attestations"):
                wanted = await asyncio.to_thread(_wanted, change.config)
        except UnknownValueError:
            set_unknown(planned, "document")
        else:
            if not is_known(planned, "document") or not same_join_config(planned.document or "", wanted):
                planned.document = wanted
        differs = change.prior is None or not is_known(planned, "document") or planned.document != change.prior.document
        if differs:
            set_unknown(planned, "revision")
        elif change.prior is not None:
            planned.revision = change.prior.revision

    async def create(self, plan: JoinConfig, call: Operation[JoinConfig]) -> JoinConfig:
        """Change what the cluster has, and remember that."""
        return await asyncio.to_thread(_put, plan, call)

    async def read(self, state: JoinConfig, call: Operation[JoinConfig]) -> JoinConfig | None:
        """See what the cluster has. A cluster that does not answer has what it had."""
        try:
            return await asyncio.to_thread(_look, state)
        except Exception as error:
            if not is_told(error):
                raise
            call.warn("The join-config cannot be looked at", f"{error}.", at=_place(state))
            return state

    async def update(self, prior: JoinConfig, plan: JoinConfig, call: Operation[JoinConfig]) -> JoinConfig:
        """Change it."""
        del prior
        return await asyncio.to_thread(_put, plan, call)

    async def delete(self, state: JoinConfig, call: Operation[JoinConfig]) -> None:
        """Go back to what was there before, if the cluster still has what we wrote."""
        with telling("The join-config cannot be changed back", at=_place(state)):
            await asyncio.to_thread(_put_back, state, call)

    async def import_state(self, id_: str, call: Operation[JoinConfig]) -> JoinConfig:
        """Take over the join-config of a cluster: by its workspace, or by a kubeconfig."""
        del call
        with telling("There is no join-config to import"):
            found = await asyncio.to_thread(_find, id_)
        if found is None:
            raise ProviderError("There is no join-config to import", f"The cluster of {id_} has none.")
        return found


def _wanted(config: JoinConfig) -> str:
    return config.document if config.attestations is None else written(config.attestations, config.control_planes)


def _place(state: JoinConfig) -> str:
    return "workspace" if state.workspace is not None else "kubeconfig_path"


def _client(state: JoinConfig) -> AbstractContextManager[Client]:
    from constellation_core.errors import ConfigError
    from constellation_engine.cluster.credentials import read_credentials
    from constellation_engine.local_cluster import Workspace
    from constellation_engine.local_cluster.way_to_api import keep_way_to_api

    if state.workspace is None:
        place = Path(state.kubeconfig_path or "")
    else:
        workspace = Workspace.open(Path(state.workspace))
        if not workspace.kubeconfig.exists():
            raise ConfigError(f"{state.workspace} has no cluster yet", hint="name it behind the cluster: depends_on")
        keep_way_to_api(workspace)
        place = workspace.kubeconfig
    read_credentials(place)  # says what is wrong with it better than a client does
    return client_of(place)


def _put(plan: JoinConfig, call: Call) -> JoinConfig:
    from constellation_engine.cluster.join_config import put, stored

    with telling("The join-config cannot be changed", at=_place(plan)), _client(plan) as client:
        if BEFORE not in call.private:
            call.private[BEFORE] = stored(client).text
        plan.revision = put(client, plan.document).number
    _remember(plan, plan.document)
    return plan


def _find(id_: str) -> JoinConfig | None:
    kind = "workspace" if Path(id_).is_dir() else "kubeconfig_path"
    return _look(JoinConfig(**{kind: id_}))


def _look(state: JoinConfig) -> JoinConfig | None:
    from constellation_engine.cluster.join_config import history, show
    from constellation_engine.errors import ObjectNotFoundError

    with _client(state) as client:
        try:
            state.document = show(client).text
        except ObjectNotFoundError:
            return None
        numbers = [one.number for one in history(client) if same_join_config(one.text, state.document)]
    state.revision = numbers[-1] if numbers else 0
    return state


def _put_back(state: JoinConfig, call: Call) -> None:
    from constellation_engine.cluster.join_config import put, show
    from constellation_engine.local_cluster.workspace import STATE_FILE

    before = call.private.get(BEFORE)
    if state.workspace is not None and not (Path(state.workspace) / STATE_FILE).exists():
        return  # the cluster went before
    with _client(state) as client:
        if before and same_join_config(show(client).text, state.document):
            put(client, before)
    _remember(state, "")


def _remember(state: JoinConfig, document: str) -> None:
    """Let the workspace say it too: `constellation_cluster` looks there for what is wanted."""
    from dataclasses import replace as changed

    from constellation_engine.local_cluster import Workspace
    from constellation_engine.local_cluster.settings import read_settings, write_settings

    if state.workspace is not None:
        workspace = Workspace.open(Path(state.workspace))
        write_settings(workspace, changed(read_settings(workspace), join_config=document))
