# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What one agent hands over to the next: in sealed memory, by a program that replaces itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

from constellation_core.keys.secret import Secret
from node_agent.errors import PermanentError
from node_agent.succession import hand_over, take_over

if TYPE_CHECKING:
    from pathlib import Path

SECRET: Final = Secret(bytes(range(32)))

BEFORE: Final = """
import os, sys
from pathlib import Path
from constellation_core.keys.secret import Secret
from node_agent.succession import begin_anew
print(os.getpid(), flush=True)
begin_anew(Secret(bytes(range(32))), ["python", "-c", Path(sys.argv[1]).read_text()])
"""

AFTER: Final = """
import json, os, subprocess, sys
from node_agent.succession import OPTION, take_over
option, descriptor = sys.argv[1:]
secret = take_over(int(descriptor))
open_files = subprocess.run(["ls", "-l", "/proc/self/fd"], capture_output=True, text=True, close_fds=False).stdout
shown = open("/proc/self/cmdline").read() + open("/proc/self/environ").read()
said = {"pid": os.getpid(), "option": option == OPTION, "secret": secret.reveal().hex(), "open_files": open_files}
print(json.dumps(said | {"shown": secret.reveal().hex() in shown}))
"""


def test_a_program_replaces_itself_and_keeps_the_secret(tmp_path: Path) -> None:
    (tmp_path / "after.py").write_text(AFTER)
    done = subprocess.run(
        [sys.executable, "-c", BEFORE, str(tmp_path / "after.py")], check=True, capture_output=True, text=True
    )
    before, after = done.stdout.splitlines()
    said = json.loads(after)
    assert said["pid"] == int(before)
    assert said["option"]
    assert said["secret"] == SECRET.reveal().hex()
    assert not said["shown"]
    assert "memfd" not in said["open_files"]


def test_it_is_taken_once() -> None:
    descriptor = hand_over(SECRET)
    assert take_over(descriptor) == SECRET
    with pytest.raises(PermanentError, match="left nothing"):
        take_over(descriptor)


def test_nobody_changes_it_on_the_way() -> None:
    descriptor = hand_over(SECRET)
    with pytest.raises(PermissionError):
        os.pwrite(descriptor, bytes(32), 0)
    with pytest.raises(PermissionError):
        os.ftruncate(descriptor, 0)
    assert take_over(descriptor) == SECRET


@pytest.mark.parametrize("content", [bytes(31), bytes(33)])
def test_memory_of_another_size_is_refused(content: bytes) -> None:
    with pytest.raises(PermanentError, match="expected 32 sealed bytes"):
        take_over(hand_over(Secret(content)))


def test_memory_that_is_not_sealed_is_refused() -> None:
    descriptor = os.memfd_create("not sealed", os.MFD_ALLOW_SEALING)
    os.write(descriptor, SECRET.reveal())
    with pytest.raises(PermanentError, match="expected 32 sealed bytes"):
        take_over(descriptor)


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(SECRET.reveal())
    with pytest.raises(PermanentError, match="left nothing"):
        take_over(os.open(tmp_path / "file", os.O_RDONLY))
