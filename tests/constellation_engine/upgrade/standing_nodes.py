# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Real machines that boot nothing, and nodes that say what kubelets would when machines boot another image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from lightkube.resources.core_v1 import Node

from constellation_engine.cluster.draining import HELD
from constellation_engine.errors import BringUpError
from constellation_engine.local_cluster.machines import places
from constellation_engine.machines import Machine
from tests.terraform_provider_constellation.resources.standing_cluster import PHASES, START_MACHINES

if TYPE_CHECKING:
    import pytest

    from constellation_engine.local_cluster import Workspace
    from tests.terraform_provider_constellation.resources.standing_cluster import StandingCluster

UPGRADE: Final = "constellation_engine.local_cluster.upgrade"


@dataclass(slots=True)
class Nodes:
    """What kubelets and verification do where machines boot nothing.

    Attributes:
        cluster: its API server.
        booted: name of a machine → folder of the image that it booted last.
        events: what happened, in order.
        broken: folder of an image that does not prove what it must.
    """

    cluster: StandingCluster
    booted: dict[str, str] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    broken: str = ""

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        nodes = self

        def start_machines(run: Any) -> None:  # noqa: ANN401 - the engine's own
            START_MACHINES(run)
            nodes.boot(run._workspace)

        async def who_is_silent(workspace: Workspace, endpoints: list[Any], _report: object) -> None:
            (one,) = endpoints
            nodes.prove(one.name, workspace)

        monkeypatch.setattr(f"{PHASES}._Run.start_machines", start_machines)
        monkeypatch.setattr(f"{UPGRADE}.who_is_silent", who_is_silent)

    def boot(self, workspace: Workspace) -> None:
        """Report machines that booted another image than before."""
        known = {node.metadata.name for node in self.cluster.client.list(Node) if node.metadata}
        for place in places(workspace):
            image = Machine(workspace.machines / place.name).spec.image.parent.name
            if place.name in known and self.booted.get(place.name) != image:
                self.booted[place.name] = image
                self.events.append(f"{place.name} boots {image}")
                self.cluster.report(place.name, ready=True, boot=f"of {image}")

    def prove(self, name: str, workspace: Workspace) -> None:
        assert self.held(name)
        assert self.booted[name] == workspace.state.spec.image.name
        if self.booted[name] == self.broken:
            raise BringUpError(f"{name} does not prove it")
        self.events.append(f"{name} proves it")

    def held(self, name: str) -> bool:
        node = self.cluster.client.get(Node, name)
        cordoned = bool(node.spec and node.spec.unschedulable)
        assert cordoned == (HELD in ((node.metadata.annotations if node.metadata else None) or {}))
        return cordoned
