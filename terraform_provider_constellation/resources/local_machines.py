# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation_local_machines`: the machines of a cluster on this host, and the workspace that all of it is in.

The machines themselves are the state: every plan looks at them. One that is switched off, or gone, is a difference that
the plan shows with its reason, and that apply repairs.
"""

# ruff: noqa: PLC0415 - Terraform starts us often, and machines are wanted seldom

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from constellation_core import rules
from terraform_provider_constellation.errors import detail_of, is_told, telling
from terraform_provider_constellation.plugin.api import (
    Call,
    Change,
    Model,
    Operation,
    ProviderError,
    Resource,
    StoppedError,
    TimeLimits,
    Timeouts,
    block,
    computed,
    is_known,
    keep,
    optional,
    replace,
    replaced,
    required,
    set_unknown,
)
from terraform_provider_constellation.resources.long_work import stoppable, tell
from terraform_provider_constellation.resources.node_image import image_value, same_image, where_image_is

if TYPE_CHECKING:
    from collections.abc import Callable

    from constellation_engine.local_cluster import ClusterSpec, Workspace
    from constellation_engine.local_cluster.machines import Place

RUNNING = "running"
_SPEC = ("name", "control_planes", "workers", "cpus", "memory", "state_disk")


class LocalMachine(Model):
    """A machine."""

    name: str = computed("Of the machine, and of the node that it becomes.")
    role: str = computed("`control-plane` or `worker`.")
    address: str = computed("Where other machines reach it.")
    state: str = computed("`running`, `stopped`, `stuck`, or `missing`.")
    reason: str | None = computed("Why it does not run; null where it does.")
    endpoints: dict[str, str] = computed("Where this host reaches its services: `api-server`, `verification`, …")


class LocalMachines(Model):
    """Machines on this host: real ones, in QEMU, with measured boot and a TPM each. They need no root and no daemon.

    This resource makes the workspace, a folder for you alone, and switches the machines on; `constellation_cluster`
    makes a cluster of them. Secrets, disks and the kubeconfig are in the workspace, and not in the state. Destroy the
    resource, and all of it goes: machines, disks, and the secrets without which nobody can open the disks.

    Without hardware that encrypts memory nothing of it is confidential to who runs this host: every verdict says so.
    """

    workspace: str = required("Folder of the cluster; it is made.", plan=[replace])
    image: Any = required(
        "What machines boot: `image` of `data.constellation_image`, or the folder of an image. Changed in place once "
        "there is a cluster: machines go over one after the other, and each proves what it booted.",
        validators=[image_value],
        same=same_image,
    )
    name: str = optional("Of the cluster.", default="mini", plan=[replace], validators=[rules.cluster_name])
    control_planes: int = optional(
        "How many control planes: 1, 3 or 5.", default=1, plan=[replace], validators=[rules.control_planes]
    )
    workers: int = optional(
        "How many workers. Changed in place: a worker that is not wanted any more leaves the cluster first.",
        default=1,
        validators=[rules.workers],
    )
    cpus: int = optional("Processors of each machine.", default=2, plan=[replace], validators=[rules.cpus])
    memory: int = optional("Memory of each machine, MiB.", default=3072, plan=[replace], validators=[rules.memory])
    state_disk: int = optional(
        "Disk of each machine, MiB; it takes space as it fills.",
        default=8192,
        plan=[replace],
        validators=[rules.state_disk],
    )
    uid: str = computed("Of these machines; no others have it.", plan=[keep])
    names: list[str] = computed("Of all machines, the first control plane first.")
    nodes: list[LocalMachine] = computed("The machines.")
    out_of_cluster_endpoint: str | None = computed("Where this host reaches the API server: `host:port`.")
    problems: list[str] = computed("What is not as it should be. A plan that finds something repairs it.")
    timeouts: Timeouts | None = block("How long things may take.")


class LocalMachinesResource(Resource[LocalMachines]):
    """Makes machines, looks at them, removes them."""

    name = "constellation_local_machines"
    limits: ClassVar[TimeLimits] = TimeLimits(update=timedelta(hours=2))  # another image: minutes for each machine

    async def plan(self, change: Change[LocalMachines]) -> None:
        """Say what there will be, as far as it follows from what is asked for, and plan repairs."""
        planned, prior = change.planned, change.prior
        if is_known(planned, "image"):
            with telling("The image cannot be used", at="image"):
                _require_image(planned.image)
            if prior is not None and not same_image(prior.image, planned.image) and not _can_go_over(prior, planned):
                change.replace("image")
        if change.replacements or not is_known(planned, "control_planes") or not is_known(planned, "workers"):
            for name in ("uid", "names", "nodes", "out_of_cluster_endpoint", "problems"):
                set_unknown(planned, name)
        elif prior is None:
            planned.names = [place.name for place in _places(planned)]
        elif prior.problems or not is_known(planned, "nodes"):
            planned.names = [place.name for place in _places(planned)]
            planned.nodes = [_as_wanted(place, prior) for place in _places(planned)]
            planned.problems = []
            planned.out_of_cluster_endpoint = prior.out_of_cluster_endpoint
            if prior.out_of_cluster_endpoint is None:
                set_unknown(planned, "out_of_cluster_endpoint")

    async def create(self, plan: LocalMachines, call: Operation[LocalMachines]) -> LocalMachines:
        """Make the workspace, then go as far as it goes: what is missing afterwards the next apply makes."""
        with telling("The machines cannot be made"):
            workspace = await asyncio.to_thread(_prepare, plan, call)
        try:
            await stoppable(call, lambda go_on: _switch_on(workspace, go_on))
        except Exception as error:
            if not is_told(error) and not isinstance(error, StoppedError):
                raise
            call.warn("Not all machines run", f"{detail_of(error)} Apply again: it goes on from what is there.")
        return await asyncio.to_thread(_described, plan, workspace)

    async def read(self, state: LocalMachines, call: Operation[LocalMachines]) -> LocalMachines | None:
        """Look at the machines."""
        del call
        with telling("The machines cannot be looked at", at="workspace"):
            return await asyncio.to_thread(_look, state)

    async def update(self, prior: LocalMachines, plan: LocalMachines, call: Operation[LocalMachines]) -> LocalMachines:
        """Make and start what is missing, remove what is not wanted any more, and let machines boot another image."""
        workspace = _open(prior)
        try:
            with telling("The machines cannot be changed"):
                await stoppable(call, lambda go_on: _bring_to(workspace, plan, go_on))
        finally:
            found = await asyncio.to_thread(_described, replaced(plan), workspace)
            call.save(found)
        if found.problems:
            raise ProviderError("Not all machines are as they should be", "; ".join(found.problems))
        return found

    async def delete(self, state: LocalMachines, call: Operation[LocalMachines]) -> None:
        """Remove the machines, their disks, and the workspace."""
        with telling("The machines cannot be removed", at="workspace"):
            await stoppable(call, lambda _: _remove(state))

    async def import_state(self, id_: str, call: Operation[LocalMachines]) -> LocalMachines:
        """Take over the workspace of a cluster, such as one of `constellation mini`."""
        del call
        with telling("There are no machines to import"):
            found = await asyncio.to_thread(_look, LocalMachines(workspace=id_))
        if found is None:
            raise ProviderError("There are no machines to import", f"Expected a workspace, got {id_!r}.")
        return found


def _require_image(image: object) -> None:
    from constellation_engine.node_image.image_folder import ImageFolder

    ImageFolder.open(where_image_is(image))


def _spec(plan: LocalMachines) -> ClusterSpec:
    from constellation_engine.local_cluster import ClusterSpec

    sizes = {name: getattr(plan, name) for name in _SPEC}
    return ClusterSpec(image=where_image_is(plan.image).resolve(), **sizes)


def _prepare(plan: LocalMachines, call: Call) -> Workspace:
    """Make the workspace, unless this host lacks something; then nothing is made."""
    from constellation_engine.local_cluster import Workspace
    from constellation_engine.local_cluster.requirements import of_cluster, require
    from constellation_engine.local_cluster.workspace import STATE_FILE

    folder, spec = Path(plan.workspace), _spec(plan)
    if (folder / STATE_FILE).exists():
        Workspace.open(folder).require_same(spec)
        call.warn("The workspace was there", f"{folder} holds a cluster of the same description: it is taken over.")
    require(of_cluster(spec, folder, tell))
    return Workspace.create(folder, spec)


def _switch_on(workspace: Workspace, go_on: Callable[[], None]) -> None:
    from constellation_engine.local_cluster import Phase, bring_up

    bring_up(workspace, report=tell, phases=(Phase.INFRASTRUCTURE,), go_on=go_on)


def _can_go_over(prior: LocalMachines, planned: LocalMachines) -> bool:
    """Tell whether machines keep their disks when they boot the other image: those of a cluster do, or are refused."""
    from constellation_engine.local_cluster.image_change import require_possible
    from constellation_engine.local_cluster.workspace import STATE_FILE
    from constellation_engine.node_image.image_folder import ImageFolder

    if planned.workspace != prior.workspace or not (Path(prior.workspace) / STATE_FILE).exists():
        return False
    workspace = _open(prior)
    if not workspace.state.cluster_id:
        return False
    with telling("The machines cannot go over to the image", at="image"):
        require_possible(workspace, ImageFolder.open(where_image_is(planned.image)))
    return True


def _go_over(workspace: Workspace, go_on: Callable[[], None]) -> None:
    from constellation_engine.local_cluster.phases import DEFAULT_TIMEOUT
    from constellation_engine.local_cluster.upgrade import upgrade

    upgrade(workspace, report=tell, timeout=DEFAULT_TIMEOUT, go_on=go_on)


def _bring_to(workspace: Workspace, plan: LocalMachines, go_on: Callable[[], None]) -> None:
    from constellation_engine.local_cluster.power import switch_off_stuck
    from constellation_engine.local_cluster.requirements import of_cluster, require
    from constellation_engine.local_cluster.resizing import remove_surplus

    _ask_for_image(workspace, where_image_is(plan.image).resolve())
    workspace.resize(plan.workers)
    remove_surplus(workspace, report=tell)
    switch_off_stuck(workspace, report=tell)
    require(of_cluster(workspace.state.spec, workspace.folder, tell))
    (_go_over if workspace.state.upgrading else _switch_on)(workspace, go_on)


def _ask_for_image(workspace: Workspace, image: Path) -> None:
    """Write down which image machines shall boot. Apply may know it where the plan did not."""
    from constellation_engine.local_cluster.image_change import require_possible
    from constellation_engine.node_image.image_folder import ImageFolder

    if image != workspace.state.spec.image:
        require_possible(workspace, ImageFolder.open(image))
        workspace.use_image(image)


def _look(state: LocalMachines) -> LocalMachines | None:
    from constellation_engine.local_cluster.workspace import STATE_FILE

    if not (Path(state.workspace) / STATE_FILE).exists():
        return None
    return _described(state, _open(state))


def _open(state: LocalMachines) -> Workspace:
    """Open the workspace, unless it is of other machines than those that Terraform knows."""
    from constellation_engine.local_cluster import Workspace

    with telling("The workspace cannot be opened", at="workspace"):
        workspace = Workspace.open(Path(state.workspace))
    if state.uid not in (None, workspace.state.uid):
        detail = (
            f"{state.workspace} has machines {workspace.state.uid}, Terraform knows {state.uid}. "
            "`terraform state rm` forgets those, and `terraform import` takes these over."
        )
        raise ProviderError("The workspace is of other machines", detail, at="workspace")
    return workspace


def _remove(state: LocalMachines) -> None:
    from constellation_engine.local_cluster import tear_down

    if Path(state.workspace).exists():
        tear_down(_open(state), report=tell)


def _described(known: LocalMachines, workspace: Workspace) -> LocalMachines:
    """Write down what is there."""
    from constellation_engine.local_cluster.observation import observe_machines

    spec, seen = workspace.state.spec, observe_machines(workspace)
    for name in _SPEC:
        setattr(known, name, getattr(spec, name))
    if known.image is None or where_image_is(known.image).resolve() != spec.image:
        known.image = str(spec.image)
    known.uid = workspace.state.uid
    known.nodes = [LocalMachine(**machine.to_mapping()) for machine in seen.machines]
    known.names = [node.name for node in known.nodes]
    known.out_of_cluster_endpoint = known.nodes[0].endpoints.get("api-server")
    known.problems = list(seen.of_machines)
    return known


def _places(plan: LocalMachines) -> tuple[Place, ...]:
    from constellation_engine.local_cluster.machines import places_of

    return places_of(plan.control_planes, plan.workers)


def _as_wanted(place: Place, prior: LocalMachines) -> LocalMachine:
    """Plan a machine: it runs. Which ports it has is known where it is there already."""
    known = next((node.endpoints for node in prior.nodes if node.name == place.name), None)
    wanted = LocalMachine(
        name=place.name, role=place.role.value, address=str(place.address), state=RUNNING, endpoints=known
    )
    if not known:
        set_unknown(wanted, "endpoints")
    return wanted
