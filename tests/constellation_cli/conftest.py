# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The program as its users start it, and files for it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from constellation_cli.main import app

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from typer.testing import Result


@pytest.fixture
def constellation() -> Callable[..., Result]:
    """Runs the program in this process, with some words and with bytes on stdin."""

    def run(*words: object, stdin: bytes = b"") -> Result:
        return CliRunner().invoke(app, [str(word) for word in words], input=stdin)

    return run


@dataclass(frozen=True, slots=True)
class Finished:
    """A program that ended.

    Attributes:
        status: how.
        stdout: what it wrote there.
        stderr: the same.
    """

    status: int | None
    stdout: str
    stderr: str


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., Awaitable[Finished]]:
    """Runs the program in a process of its own, beside servers of the test; it finds no cluster by itself."""
    hidden = {"KUBECONFIG", "CONSTELLATION_WORKSPACE", "XDG_DATA_HOME"}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}

    async def run(*words: object) -> Finished:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "constellation_cli"),
            *map(str, words),
            env={**environment, "HOME": str(tmp_path / "home")},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        stdout, stderr = await process.communicate()
        return Finished(process.returncode, stdout.decode(), stderr.decode())

    return run


@pytest.fixture
def policy_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a policy to a file and says where it is."""

    def write(**fields: object) -> Path:
        path = tmp_path / "policy.json"
        path.write_text(json.dumps(fields), encoding="utf-8")
        return path

    return write
