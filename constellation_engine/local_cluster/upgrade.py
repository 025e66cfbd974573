# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Another node image: machines boot it one after the other, and keep their disks, TPMs and names (docs/adr/0028).

1. Both images may join. Our services get the image that the new one brings: their pods go on where they are, and begin
   with it where a node booted it (`cluster.manifests.pods`).
2. Workers first: an image that does not boot costs one of them, and no control plane. Of each machine:
   a. no new pods come to its node, and those that can be elsewhere leave (`cluster.draining`);
   b. its power is cut, and its disk becomes the other image's;
   c. its node is Ready in another boot, and proves the new image; control planes that wait for recovery get it;
   d. pods may come again.
3. `phases.bring_up` finishes, and from then on only who boots the new image may join.

What a machine boots is in its description, and that its node is held is an annotation of that: whoever is interrupted
goes on by upgrading again. Whoever wants back upgrades to the image of before.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from constellation_core.conditions import Condition
from constellation_core.roles import Role
from constellation_engine.cluster.draining import booted_again, emptied, hold, is_held, release
from constellation_engine.errors import ObjectNotFoundError
from constellation_engine.local_cluster import objects, phases
from constellation_engine.local_cluster.image_change import follow_images
from constellation_engine.local_cluster.machines import places, verification_endpoints
from constellation_engine.local_cluster.phase import Phase
from constellation_engine.local_cluster.verification import who_is_silent
from constellation_engine.machines import Machine
from constellation_engine.node_image.image_folder import ImageFile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from constellation_engine.local_cluster.workspace import Workspace

DRAIN_TIMEOUT: Final = 300.0  # seconds for the pods of one node to leave

_GO_BACK: Final = "the console of the machine says what it waits for; upgrading to the image of before goes back"


def upgrade(
    workspace: Workspace,
    *,
    report: Callable[[str], None],
    timeout: float,
    drain_timeout: float = DRAIN_TIMEOUT,
    images_follow: bool = True,
    go_on: Callable[[], None] = lambda: None,
) -> None:
    """Let all machines boot the image that the workspace asks for, and finish. Those that do already are left alone.

    Args:
        workspace: of the cluster; see `Workspace.use_image`, and before that `image_change.require_possible`.
        report: told of every step.
        timeout: seconds for each wait.
        drain_timeout: seconds for the pods of one node to leave; 0 asks nobody to.
        images_follow: whether the images that may join are those that machines boot; else somebody says which.
        go_on: is asked now and then, and raises whatever shall end the run.

    Raises:
        ClusterError: the API server refuses, or does not answer.
        MachineError: a machine cannot be changed, or does not start.
        BringUpError: pods do not leave, or a node does not come back.
        ClusterNotAcceptedError: a node does not prove the image.
    """
    if images_follow:
        follow_images(workspace)
    run = _Upgrade(workspace, report, timeout, drain_timeout, go_on)
    run.prepare()  # 1
    for place in sorted(places(workspace), key=lambda place: place.role is Role.CONTROL_PLANE):  # 2
        run.go_over(place.name)
    if images_follow:
        follow_images(workspace)
    workspace.upgraded()
    run.finish()  # 3


@dataclass(frozen=True, slots=True)
class _Upgrade:
    """One call of `upgrade`."""

    workspace: Workspace
    report: Callable[[str], None]
    timeout: float
    drain_timeout: float
    go_on: Callable[[], None]

    def prepare(self) -> None:
        self._bring_up((Phase.INFRASTRUCTURE, Phase.INIT))
        objects.put_join_config(self.workspace, self.report)
        for wanted in objects.services(self.workspace):
            asyncio.run(objects.apply(self.workspace, wanted, self.report))

    def go_over(self, name: str) -> None:
        machine, disk = Machine(self.workspace.machines / name), self.workspace.image().require(ImageFile.DISK)
        if machine.spec.image != disk:
            self._empty(name)  # a
            self.report(f"{name}: goes over to {disk.parent}")
            machine.stop()  # b
            machine.change_image(disk)
            self._bring_up((Phase.INFRASTRUCTURE, Phase.INIT))  # a control plane that waits for recovery gets it
        with objects.client_of(self.workspace) as client:
            if is_held(client, name):
                self._wait(booted_again(client, name))  # c
                self._wait(objects.pods_running(client, name))
                self._wait(Condition(f"{name} proves what it booted", lambda: self._silence(name)))
                release(client, name)  # d
                self.report(f"{name}: is back, with the image {disk.parent}")

    def _empty(self, name: str) -> None:
        with suppress(ObjectNotFoundError), objects.client_of(self.workspace) as client:
            if hold(client, name) and self.drain_timeout:
                self._wait(
                    emptied(client, name),
                    timeout=self.drain_timeout,
                    hint="may their PodDisruptionBudget be less strict for a while? Repeating goes on where it was",
                )

    def finish(self) -> None:
        self._bring_up(tuple(Phase))
        objects.put_join_config(self.workspace, self.report)

    def _bring_up(self, wanted: Sequence[Phase]) -> None:
        phases.bring_up(
            self.workspace,
            report=lambda step: self.report(str(step)),
            timeout=self.timeout,
            phases=wanted,
            go_on=self.go_on,
        )

    def _silence(self, name: str) -> str | None:
        endpoints = [one for one in verification_endpoints(self.workspace) if one.name == name]
        return asyncio.run(who_is_silent(self.workspace, endpoints, self.report))

    def _wait(self, condition: Condition, *, timeout: float | None = None, hint: str = _GO_BACK) -> None:
        phases.wait_or_fail(condition, timeout=timeout or self.timeout, tell=self.report, go_on=self.go_on, hint=hint)
