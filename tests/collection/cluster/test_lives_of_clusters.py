# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A cluster's life by its module: real machines that boot nothing, and a real API server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from constellation_core.join_config import ControlPlanes, JoinConfig
from constellation_engine.cluster.join_config import put, show
from constellation_engine.errors import BringUpError
from constellation_engine.machines import Machine, MachineState, machines
from constellation_engine.testing.kinds import serve_our_kinds
from tests.collection.modules.running import run_module
from tests.terraform_provider_constellation.resources.standing_cluster import (
    IMAGE,
    PHASES,
    START_MACHINES,
    StandingCluster,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from constellation_engine.testing.control_plane import ControlPlane

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.usefixtures("quick_tpm")]


@pytest.fixture
def standing(clean_cluster: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> StandingCluster:
    """An API server for a cluster whose machines are switched on, and boot nothing."""
    cluster = StandingCluster(clean_cluster, None, [])
    serve_our_kinds(clean_cluster.client())
    cluster.install(monkeypatch)
    monkeypatch.setattr(f"{PHASES}._Run.start_machines", START_MACHINES)
    return cluster


@pytest.fixture
def mini(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """What is asked for; machines that are left are removed."""
    image = IMAGE.write(tmp_path / "image").path
    yield {
        "workspace": str(tmp_path / "mini"),
        "image": str(image),
        "workers": 0,
        "memory": 2048,
        "state_disk": 2048,
    }
    for machine in machines(tmp_path / "mini" / "machines"):
        machine.destroy()


def changes(arguments: dict[str, Any], **more: Any) -> dict[str, Any]:  # noqa: ANN401 - options
    """Predict, do, and see that the prediction was right and nothing is left to do."""
    predicted = run_module("cluster", check=True, **arguments | more)
    done = run_module("cluster", **arguments | more)
    assert not done.get("failed"), done
    assert (predicted["changed"], predicted["diff"]) == (True, done["diff"])
    again = run_module("cluster", **arguments | more)
    assert (again["changed"], again["steps"]) == (False, []), again["diff"]
    return done


def first(arguments: dict[str, Any]) -> Machine:
    return Machine(Path(arguments["workspace"], "machines", "control-plane-0"))


def test_from_nothing_to_nothing(mini: dict[str, Any], standing: StandingCluster) -> None:
    up = changes(mini)
    assert up["changing"] == ["workspace", "control-plane-0", "cluster"]
    assert "infrastructure: control-plane-0 is on" in up["steps"]
    assert standing.phases == ["init", "verify"]
    said = run_module("cluster_info", workspace=mini["workspace"])
    assert (said["ready"], said["problems"]) == (True, [])

    off = changes(mini, state="stopped")
    assert off["changing"] == ["control-plane-0"]
    assert first(mini).status().state is MachineState.STOPPED
    on = changes(mini)
    assert on["changing"] == ["control-plane-0"]

    changes({"workspace": mini["workspace"], "state": "absent"})
    assert not Path(mini["workspace"]).exists()


def test_what_others_changed_is_put_right(mini: dict[str, Any], standing: StandingCluster) -> None:
    changes(mini)
    before = show(standing.client).text
    limits = ControlPlanes(max=7)
    put(standing.client, replace(JoinConfig.from_yaml(before), control_planes=limits).to_yaml())
    done = changes(mini)
    assert (done["changing"], show(standing.client).text) == (["join-config"], before)

    standing.report("control-plane-0", ready=False)
    predicted = run_module("cluster", check=True, **mini)
    assert "all nodes are Ready: control-plane-0 (the kubelet stopped)" in predicted["diff"]["before"]


def test_who_may_join_is_asked_for(mini: dict[str, Any], standing: StandingCluster) -> None:
    changes(mini)
    done = changes(mini, approval=True, max_control_planes=3)
    assert done["changing"] == ["join-config"]
    assert JoinConfig.from_yaml(show(standing.client).text).control_planes == ControlPlanes(max=3, approval=True)
    assert not run_module("cluster", **mini)["changed"]


def test_what_stops_goes_on(mini: dict[str, Any], standing: StandingCluster) -> None:
    standing.broken = BringUpError("a node is silent", hint="look at its console")
    failed = run_module("cluster", **mini)
    assert (failed["failed"], failed["msg"]) == (True, "A node is silent. Look at its console.")
    standing.broken = None
    done = changes(mini)
    assert done["changing"] == ["phases"]
    assert standing.phases.count("init") == 1


@pytest.mark.usefixtures("standing")
def test_a_cluster_that_answers_needs_no_recovery(mini: dict[str, Any]) -> None:
    changes(mini)
    place: dict[str, Any] = {"workspace": mini["workspace"], "images": [mini["image"]]}
    assert not run_module("cluster_recover", **place)["changed"]
    first(mini).stop()
    done = run_module("cluster_recover", **place)
    assert (done["changed"], done["switched_on"], done["nodes"]) == (True, ["control-plane-0"], [])
    assert first(mini).status().state is MachineState.RUNNING
    assert not run_module("cluster_recover", **place)["changed"]
