# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The provider as Terraform and OpenTofu start it: mutual TLS, logs, Ctrl-C, sudden ends."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.terraform_provider_constellation.plugin.processes import environment, started
from tests.terraform_provider_constellation.plugin.tools import mirrored

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.terraform_provider_constellation.plugin.tools import Tool

CAGE = 'resource "zoo_cage" "a" {\n  name = "a"\n}\n'
LARGE = 'resource "zoo_cage" "a" {\n  name = "a"\n  labels = local.large\n}\n'
SLOW = 'resource "zoo_cage" "a" {\n  name = "a"\n  behaviour = "slow"\n}\n'


def wait_for(condition: Callable[[], object]) -> None:
    """Until it is true; pytest's own timeout is the limit."""
    while not condition():
        time.sleep(0.01)


def is_alive(process: int) -> bool:
    """Whether a process runs (not merely waits to be buried)."""
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def providers_of(tool: Tool) -> list[int]:
    """Processes of the provider that work in a test's folder."""
    needle = str(tool.folder / "bin" / "terraform-provider-zoo").encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if needle in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return [process for process in found if is_alive(process)]


def test_life_of_a_resource(program_tool: Tool) -> None:
    program_tool.write(CAGE)
    assert program_tool.apply().status == 0
    assert not program_tool.differs()
    assert program_tool.run("destroy", "-auto-approve").status == 0
    assert providers_of(program_tool) == []


def test_installed_from_a_mirror_without_network(bare_tool: Tool) -> None:
    mirrored(bare_tool, "1.2.3")
    bare_tool.write(CAGE)
    assert "Installed example/zoo v1.2.3" in bare_tool.run("init").text
    assert "h1:" in (bare_tool.folder / ".terraform.lock.hcl").read_text(encoding="utf-8")
    assert bare_tool.apply().status == 0
    assert not bare_tool.differs()


def test_nothing_in_the_log_is_a_warning(program_tool: Tool) -> None:
    program_tool.write(CAGE)
    log = program_tool.run("apply", "-auto-approve", TF_LOG="TRACE").err
    assert "[INFO]  provider.terraform-provider-zoo: made a cage" in log
    assert "[DEBUG] provider.terraform-provider-zoo: of wood" in log
    assert "[DEBUG] provider.terraform-provider-zoo: a stray line on standard output" in log
    assert not [line for line in log.splitlines() if "[WARN]" in line or "[ERROR]" in line if "override" not in line]


def test_the_log_has_the_level_that_is_wanted(program_tool: Tool) -> None:
    program_tool.write(CAGE)
    log = program_tool.run("apply", "-auto-approve", TF_LOG_PROVIDER="INFO").err
    assert "made a cage" in log
    assert "of wood" not in log


def test_a_failure_is_logged_with_its_place(program_tool: Tool) -> None:
    program_tool.write('resource "zoo_cage" "a" {\n  name = "a"\n  behaviour = "broken"\n}')
    log = program_tool.run("apply", "-auto-approve", TF_LOG_PROVIDER="ERROR").err
    assert "[ERROR] provider.terraform-provider-zoo: the provider failed" in log
    assert "RuntimeError: the hammer broke" in log


def test_without_tls_when_terraform_is_told_so(program_tool: Tool) -> None:
    program_tool.write(CAGE)
    assert program_tool.run("apply", "-auto-approve", TF_DISABLE_PLUGIN_TLS="1").status == 0


def test_ctrl_c_finishes_the_step_and_saves(program_tool: Tool) -> None:
    program_tool.write(SLOW)
    with program_tool.start("apply", "-auto-approve") as terraform:
        wait_for((program_tool.folder / "started").exists)
        os.killpg(terraform.pid, signal.SIGINT)  # as a terminal does it: Terraform and provider both get it
        text = terraform.communicate(timeout=50)[0]
    assert "Creation complete" in text
    assert "The cage was finished in a hurry" in text
    assert program_tool.instance()["attributes"]["name"] == "a"
    assert "status" not in program_tool.instance()


def test_a_killed_terraform_leaves_no_provider(program_tool: Tool) -> None:
    program_tool.write(SLOW)
    with program_tool.start("apply", "-auto-approve") as terraform:
        wait_for((program_tool.folder / "started").exists)
        assert providers_of(program_tool)
        terraform.kill()
        wait_for(lambda: not providers_of(program_tool))
    assert "a" in (program_tool.folder / "zoo.json").read_text(encoding="utf-8")  # the step came to its end


def test_a_killed_provider_is_an_error_and_the_next_apply_goes_on(program_tool: Tool) -> None:
    program_tool.write(SLOW)
    with program_tool.start("apply", "-auto-approve") as terraform:
        wait_for((program_tool.folder / "started").exists)
        (process,) = providers_of(program_tool)
        os.kill(process, signal.SIGKILL)
        assert terraform.wait(timeout=50) == 1
    program_tool.write(CAGE)
    assert program_tool.apply().status == 0
    assert not program_tool.differs()


def test_the_end_of_a_parent_before_it_ever_connected() -> None:
    starter = ("python3", "-c", "import subprocess, sys; subprocess.Popen(sys.argv[1:]).wait()")
    with started(environment(), starter=starter) as provider:
        children = Path(f"/proc/{provider.process.pid}/task/{provider.process.pid}/children")
        (process,) = map(int, children.read_text(encoding="utf-8").split())
        provider.process.kill()
        wait_for(lambda: not is_alive(process))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_messages_of_more_than_100_megabytes(program_tool: Tool) -> None:
    program_tool.write(LARGE)
    value = 'join("", [for index in range(1024) : local.block])'
    large = f'locals {{\n  block = "{"x" * 110_000}"\n  large = {{ x = {value} }}\n}}\n'
    (program_tool.folder / "large.tf").write_text(large, encoding="utf-8")
    assert program_tool.apply().status == 0
    assert not program_tool.differs()
