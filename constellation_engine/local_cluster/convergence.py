# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Bring a local cluster from how it is to how somebody wants it; and say before what that changes.

    plan = plan_cluster(folder, desired)
    plan.before, plan.after  # name of a thing → how it is, how it will be
    if plan.differs:
        converge(folder, desired, plan, report=print, timeout=1800, drain_timeout=300)

1. What cannot be is refused, and what this host lacks is said, before anything is made.
2. Workers that are not asked for any more leave, and machines that cannot go on are switched off.
3. Who may join changes first where the API server answers: machines may wait for it.
4. Machines of another image go over to the one that is wanted, one after the other (`upgrade`).
5. All phases of `phases.bring_up`. Who was interrupted goes on here.

A cluster in which nothing differs is left alone. Whether its nodes prove what they must, `verification` asks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from constellation_engine.errors import ClusterError
from constellation_engine.local_cluster.desired import OF_SETTINGS
from constellation_engine.local_cluster.machines import left_behind, places_of
from constellation_engine.local_cluster.observation import MISSING, observe, observe_machines
from constellation_engine.local_cluster.phase import Phase
from constellation_engine.local_cluster.settings import join_config, read_settings, write_settings
from constellation_engine.local_cluster.workspace import STATE_FILE, Workspace
from constellation_engine.machines import MachineState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from constellation_engine.local_cluster.desired import DesiredCluster
    from constellation_engine.local_cluster.observation import Observation
    from constellation_engine.local_cluster.workspace import ClusterSpec

RUNNING: Final = MachineState.RUNNING.value
STOPPED: Final = MachineState.STOPPED.value
ABSENT: Final = "absent"
THERE: Final = "there"
WELL: Final = "as it should be"
JOIN_CONFIG: Final = "join-config"

_ALL_PHASES: Final = ", ".join(Phase)


@dataclass(frozen=True, slots=True)
class Plan:
    """What changes.

    Attributes:
        before: name of a thing → how it is.
        after: name of a thing → how it will be.
        answers: whether the API server does, before anything changes.
    """

    before: Mapping[str, str]
    after: Mapping[str, str]
    answers: bool = False

    @property
    def differs(self) -> bool:
        """Whether anything changes."""
        return self.before != self.after

    @property
    def changing(self) -> tuple[str, ...]:
        """Names of what changes."""
        return tuple(name for name in self.after if self.before.get(name) != self.after[name])


def opened(folder: Path) -> Workspace | None:
    """Open a workspace, if there is one.

    Raises:
        WorkspaceError: its description is damaged.
    """
    return Workspace.open(folder) if (folder / STATE_FILE).exists() else None


def plan_cluster(folder: Path, desired: DesiredCluster) -> Plan:
    """Say what changes for the cluster to be up, and as it is wanted.

    Args:
        folder: workspace of the cluster, there or not.
        desired: what it shall be.

    Raises:
        RequirementError: this host lacks something that the change needs.
        WorkspaceError: it cannot become that; or as `DesiredCluster.require_possible`.
    """
    workspace = opened(folder)
    desired.require_possible(workspace)
    spec = desired.spec(workspace.state.spec if workspace is not None else None)
    plan = _plan_new(spec) if workspace is None else _plan_change(workspace, desired, spec)
    if any(plan.after.get(name) == RUNNING for name in plan.changing):
        _require(spec, folder)
    return plan


def plan_stop(workspace: Workspace) -> Plan:
    """Say what changes for all machines to be switched off."""
    there = {one.name: one.state for one in observe_machines(workspace).machines if one.state != MISSING}
    return Plan(there, dict.fromkeys(there, STOPPED))


def plan_removal(folder: Path) -> Plan:
    """Say what changes for the cluster to be gone.

    Raises:
        WorkspaceError: the description of the workspace is damaged.
    """
    workspace = opened(folder)
    if workspace is None:
        return Plan({"workspace": ABSENT}, {"workspace": ABSENT})
    seen = observe_machines(workspace)
    states = {one.name: one.state for one in seen.machines if one.state != MISSING}
    before = {"workspace": THERE, **states, **dict.fromkeys(seen.unwanted, THERE)}
    return Plan(before, dict.fromkeys(before, ABSENT))


def converge(
    folder: Path,
    desired: DesiredCluster,
    plan: Plan,
    *,
    report: Callable[[str], None],
    timeout: float,
    drain_timeout: float,
) -> Workspace:
    """Do what a plan says.

    Args:
        folder: workspace of the cluster, there or not.
        desired: what it shall be.
        plan: what changes, as `plan_cluster` says.
        report: told of every step.
        timeout: seconds for each phase.
        drain_timeout: seconds for the pods of a node to leave before its machine boots another image; 0 asks nobody to.

    Raises:
        WorkspaceError: it cannot become that.
        ClusterError: the API server refuses, or is of another cluster; or pods do not leave.
        MachineError: a machine cannot be made, started or removed.
        BringUpError: a phase did not come to its end.
        PeerNotAcceptedError: the first machine is not what it should be.
        ClusterNotAcceptedError: a node does not prove what it must.
    """
    from constellation_engine.local_cluster.objects import put_join_config  # noqa: PLC0415 - it loads much
    from constellation_engine.local_cluster.phases import bring_up  # noqa: PLC0415
    from constellation_engine.local_cluster.upgrade import upgrade  # noqa: PLC0415

    workspace = opened(folder) or Workspace.create(folder, desired.spec(None))
    changing = set(plan.changing)
    _resize(workspace, desired, report)
    _write_down(workspace, desired)
    if desired.image is not None and workspace.state.cluster_id:
        workspace.use_image(desired.image)
    if workspace.state.upgrading:
        upgrade(
            workspace,
            report=report,
            timeout=timeout,
            drain_timeout=drain_timeout,
            images_follow=desired.join_config is None,
        )
        return workspace
    if JOIN_CONFIG in changing and plan.answers:
        put_join_config(workspace, report)
    if changing - {JOIN_CONFIG}:
        bring_up(workspace, report=lambda step: report(str(step)), timeout=timeout)
        put_join_config(workspace, report)
    return workspace


def _plan_new(spec: ClusterSpec) -> Plan:
    names = [place.name for place in places_of(spec.control_planes, spec.workers)]
    before = {"workspace": ABSENT, **dict.fromkeys(names, MISSING), "cluster": ABSENT}
    after = {"workspace": THERE, **dict.fromkeys(names, RUNNING), "cluster": WELL}
    return Plan(before, after)


def _plan_change(workspace: Workspace, desired: DesiredCluster, spec: ClusterSpec) -> Plan:
    seen = observe(workspace)
    if seen.is_foreign:
        raise ClusterError(f"{workspace.folder}: {seen.silence}", hint="is the kubeconfig in the workspace its own?")
    wanted = [place.name for place in places_of(spec.control_planes, spec.workers)]
    there = {one.name: str(one) for one in seen.machines if one.name in wanted or one.state != MISSING}
    there |= dict.fromkeys(seen.unwanted, THERE)
    states = dict.fromkeys(wanted, MISSING) | there
    initialised = bool(workspace.state.cluster_id)
    behind = left_behind(workspace, spec.image)
    images = {f"image of {name}": str(image) for name, image in behind.items() if name in wanted}
    before = {
        "workspace": THERE,
        **states,
        **images,
        "phases": ", ".join(phase for phase in Phase if phase not in seen.left) or "none",
        "cluster": "; ".join(seen.of_cluster) or (WELL if initialised else "not initialised"),
    }
    after = {name: RUNNING if name in wanted else ABSENT for name in states}
    after |= dict.fromkeys(images, str(spec.image))
    plan = Plan(before, {"workspace": THERE, **after, "phases": _ALL_PHASES, "cluster": WELL})
    return _with_settings(plan, workspace, desired, seen)


def _with_settings(plan: Plan, workspace: Workspace, desired: DesiredCluster, seen: Observation) -> Plan:
    """Add what is asked for besides machines, where it differs."""
    from constellation_engine.cluster.join_config import says_the_same  # noqa: PLC0415 - it loads much

    before, after = dict(plan.before), dict(plan.after)
    settings = read_settings(workspace)
    wanted = desired.settings(settings)
    for name in OF_SETTINGS:
        if getattr(settings, name) != getattr(wanted, name):
            before[name], after[name] = str(getattr(settings, name)), str(getattr(wanted, name))
    if desired.master_secret not in (None, workspace.master_secret()):
        before["master_secret"], after["master_secret"] = "of the workspace", "as given"
    there = seen.join_config if seen.join_config is not None else join_config(workspace).to_yaml()
    shall = desired.wanted_join_config(workspace)
    if not says_the_same(there, shall):
        before[JOIN_CONFIG], after[JOIN_CONFIG] = there or "none", shall
    return Plan(before, after, answers=seen.status is not None)


def _require(spec: ClusterSpec, folder: Path) -> None:
    from constellation_engine.local_cluster.requirements import of_cluster, require  # noqa: PLC0415 - it loads much

    require(of_cluster(spec, folder))


def _resize(workspace: Workspace, desired: DesiredCluster, report: Callable[[str], None]) -> None:
    from constellation_engine.local_cluster.power import switch_off_stuck  # noqa: PLC0415 - as above
    from constellation_engine.local_cluster.resizing import remove_surplus  # noqa: PLC0415

    if desired.workers is not None:
        workspace.resize(desired.workers)
    remove_surplus(workspace, report=report)
    switch_off_stuck(workspace, report=report)


def _write_down(workspace: Workspace, desired: DesiredCluster) -> None:
    if desired.master_secret is not None:
        workspace.use_master_secret(desired.master_secret)
    settings = desired.settings(read_settings(workspace))
    if desired.says_who_may_join:
        settings = replace(settings, join_config=desired.wanted_join_config(workspace))
    write_settings(workspace, settings)
