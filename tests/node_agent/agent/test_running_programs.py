# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Other programs: what they say is heard, what they are told is secret, and none is waited for in vain."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from constellation_core.conditions import Condition, wait_for_async
from constellation_core.keys.secret import Secret
from node_agent.errors import AgentError, LateProgramError, PermanentError, ProgramError, TemporaryError
from node_agent.network import nftables
from node_agent.network.firewall import Firewall
from node_agent.programs import follow, run

if TYPE_CHECKING:
    from pathlib import Path


async def test_lines_come_as_they_are_written() -> None:
    lines: list[str] = []
    await follow(["/bin/sh", "-c", "echo one; echo two >&2"], time_limit=10, line=lines.append)
    assert sorted(lines) == ["one", "two"]


async def test_a_failure_says_its_last_words() -> None:
    script = "echo 'I1121 12:00:00 noise'; echo the reason; exit 3"
    with pytest.raises(ProgramError, match=r"sh -c failed with code 3; it said last:\nthe reason") as raised:
        await follow(["/bin/sh", "-c", script], time_limit=10)
    assert raised.value.last_words == ("the reason",)


async def test_a_program_that_hangs_is_killed_with_its_children() -> None:
    with pytest.raises(ProgramError, match=r"did not end within 0.3 s"):
        await follow(["/bin/sh", "-c", "sleep 60 & wait"], time_limit=0.3)


async def test_what_a_program_leaves_running_runs_on(tmp_path: Path) -> None:
    """As a kubelet that an init system started."""
    sign = tmp_path / "sign"
    await follow(["/bin/sh", "-c", f"(sleep 0.2; touch {sign}) >/dev/null 2>&1 &"], time_limit=10)
    await wait_for_async([Condition("it ran", lambda: None if sign.exists() else "not yet")], timeout=10)


async def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(AgentError, match=r"cannot run /no/such/program: No such file"):
        await follow(["/no/such/program"], time_limit=1)


async def test_what_is_secret_comes_by_stdin() -> None:
    assert await follow(["/bin/cat"], time_limit=10, stdin=Secret(b"hidden")) == "hidden"


async def test_a_program_may_ignore_what_it_is_told() -> None:
    await follow(["/bin/true"], time_limit=10, stdin=Secret(b"x" * 1_000_000))


async def test_only_what_was_written_to_stdout_is_the_answer() -> None:
    assert await run(("sh", "-c", "cat; echo aside >&2"), stdin=b"hidden") == "hidden"


async def test_why_a_program_failed_is_what_it_wrote_to_stderr() -> None:
    with pytest.raises(ProgramError, match=r"^sh -c failed with code 4; it said last:\nthe reason$") as raised:
        await run(("sh", "-c", "echo a secret; echo; echo the reason >&2; exit 4"))
    assert raised.value.code == 4


async def test_a_descriptor_is_inherited() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"hidden")
    os.close(writer)
    try:
        assert await run(("cat", f"/proc/self/fd/{reader}"), descriptors=(reader,)) == "hidden"
    finally:
        os.close(reader)


@pytest.mark.parametrize("command", [("sleep", "60"), ("sh", "-c", "sleep 60 & wait")])
async def test_who_takes_too_long_is_killed(command: tuple[str, ...]) -> None:
    with pytest.raises(LateProgramError, match=r"did not end within 0\.2 s"):
        await run(command, time_limit=0.2)


async def test_rules_that_are_late_are_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is busy must not take that for a kernel without rules."""
    (tmp_path / "nft").write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    (tmp_path / "nft").chmod(0o755)
    monkeypatch.setattr("node_agent.programs._ENVIRONMENT", {"PATH": str(tmp_path)})
    monkeypatch.setattr(nftables, "TIMEOUT", 0.2)
    with pytest.raises(TemporaryError, match="did not end within"):
        await nftables.knows_pods()


async def test_a_kernel_that_takes_no_rules_is_not_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nft").write_text("#!/bin/sh\necho no such protocol >&2; exit 1\n")
    (tmp_path / "nft").chmod(0o755)
    monkeypatch.setattr("node_agent.programs._ENVIRONMENT", {"PATH": str(tmp_path)})
    with pytest.raises(PermanentError, match="no such protocol") as raised:
        await nftables.Rules().load(Firewall())
    assert "nf_tables" in raised.value.hint
