# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C, a time limit, a killed provider: what was begun is found again, and nothing goes on unseen."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from constellation_core.conditions import Condition, wait_for
from constellation_engine.local_cluster import Workspace
from terraform_provider_constellation.main import ADDRESS as PROVIDER
from terraform_provider_constellation.plugin.testing import reattached
from terraform_provider_constellation.provider import Constellation
from tests.terraform_provider_constellation.resources.standing_cluster import PHASES

if TYPE_CHECKING:
    from tests.terraform_provider_constellation.resources.standing_cluster import StandingCluster
    from tests.terraform_provider_constellation.resources.workplace import Workplace

KIND = "constellation_cluster"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def endless(standing: StandingCluster, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Nodes that never prove anything; the event is set when they are asked."""
    asked = threading.Event()

    def verify(run: Any) -> None:  # noqa: ANN401 - the engine's own
        asked.set()
        run._wait(Condition("every node proves what it booted", lambda: "waiting for evidence"))

    standing.phases.clear()
    monkeypatch.setattr(f"{PHASES}._Run.verify", verify)
    return asked


def configuration(workspace: Workspace, *lines: str) -> str:
    more = "\n  ".join((f'workspace = "{workspace.folder}"', *lines))
    return f'resource "{KIND}" "mini" {{\n  {more}\n}}\n'


def prove(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nodes prove what they booted."""
    monkeypatch.setattr(f"{PHASES}._Run.verify", lambda _: None)


def test_ctrl_c_ends_the_work_and_the_next_apply_goes_on(
    terraform: Workplace, endless: threading.Event, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    terraform.write(configuration(workspace))
    with terraform.start("apply", "-auto-approve") as apply:
        assert endless.wait(60)
        os.killpg(apply.pid, signal.SIGINT)
        said, _ = apply.communicate(timeout=60)
    assert "Terraform was told to stop" in said
    assert terraform.instance(KIND, "mini").get("status") is None
    assert Workspace.open(workspace.folder).state.finished == ("infrastructure", "init", "services", "join")
    prove(monkeypatch)
    with reattached(Constellation(), address=PROVIDER) as environment:  # one that was told to stop does not go on
        terraform.environment |= environment
        terraform.applied()
        assert terraform.state(KIND, "mini")["ready"]
        assert not terraform.differs()


def test_the_time_that_the_user_allows_holds(
    terraform: Workplace, endless: threading.Event, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    terraform.write(configuration(workspace, 'timeouts {\n    create = "10s"\n    update = "3s"\n  }'))
    text = terraform.applied().text
    assert endless.is_set()
    assert "Warning: The cluster is not up yet" in text
    assert "`timeouts` allows more" in text
    result = terraform.apply()
    assert (result.status, "`timeouts` allows more" in result.text) == (1, True), result.text
    assert terraform.instance(KIND, "mini").get("status") is None
    prove(monkeypatch)
    terraform.applied()
    assert not terraform.differs()


PROGRAM = f"""
import os, sys
from pathlib import Path
from terraform_provider_constellation.plugin.serving import serve
from constellation_engine.local_cluster import phases

def started(run):
    Path(os.environ["PHASES"]).write_text(str(os.getpid()))
    while not Path(os.environ["GO_ON"]).exists():
        run._go_on()
    run.tell("machines are on")

phases._Run.start_machines = started

def make():
    from terraform_provider_constellation.provider import Constellation
    return Constellation()

sys.exit(serve(make, address="{PROVIDER}"))
"""


def test_a_provider_that_is_killed_leaves_what_the_next_one_finds(terraform: Workplace, workspace: Workspace) -> None:
    script = terraform.folder / "bin" / "terraform-provider-constellation"
    script.parent.mkdir()
    script.write_text(f"#!{sys.executable}\n{PROGRAM}")
    script.chmod(0o755)
    override = f'dev_overrides {{ "{PROVIDER}" = "{script.parent}" }}\n  direct {{}}'
    (terraform.folder / "tool.rc").write_text(f"provider_installation {{\n  {override}\n}}\n")
    del terraform.environment["TF_REATTACH_PROVIDERS"]
    started, go_on = terraform.folder / "started", terraform.folder / "go-on"
    terraform.environment |= {"PHASES": str(started), "GO_ON": str(go_on), "PYTHONPATH": ":".join(sys.path)}
    machines = f"""
resource "constellation_local_machines" "mini" {{
  workspace = "{terraform.folder}/new"
  image     = "{workspace.state.spec.image}"
}}
"""
    terraform.write(machines)
    with terraform.start("apply", "-auto-approve") as apply:
        wait_for([Condition("machines are being started", lambda: None if _said(started) else "no")], timeout=60)
        os.kill(int(started.read_text()), signal.SIGKILL)
        apply.communicate(timeout=60)
    assert apply.returncode == 1
    left = Workspace.open(terraform.folder / "new").state.uid
    go_on.touch()
    assert "The workspace was there" in terraform.applied().text
    assert terraform.state("constellation_local_machines", "mini")["uid"] == left


def _said(place: Any) -> bool:  # noqa: ANN401 - a path
    return bool(place.exists() and place.read_text())


def test_the_log_shows_every_step(
    terraform: Workplace, standing: StandingCluster, workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "constellation")
    terraform.write(configuration(workspace))
    terraform.applied()
    assert standing.phases
    said = [record.getMessage() for record in caplog.records if record.name == "constellation"]
    assert said[0] == "infrastructure: begins"
    assert [line for line in said if line.endswith(": done")] == [
        f"{phase}: done" for phase in ("infrastructure", "init", "services", "join", "verify")
    ]
