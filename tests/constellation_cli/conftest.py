# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The program as its users start it, and files for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from constellation_cli.main import app

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result


@pytest.fixture
def constellation() -> Callable[..., Result]:
    """Runs the program in this process, with some words and with bytes on stdin."""

    def run(*words: object, stdin: bytes = b"") -> Result:
        return CliRunner().invoke(app, [str(word) for word in words], input=stdin)

    return run


@pytest.fixture
def policy_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a policy to a file and says where it is."""

    def write(**fields: object) -> Path:
        path = tmp_path / "policy.json"
        path.write_text(json.dumps(fields), encoding="utf-8")
        return path

    return write
