# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A user with a clean home, who runs the real Terraform or OpenTofu in a folder of their own."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from terraform_provider_constellation.packaging.mirror import Tool

SOURCE = "constellation-kubernetes/constellation"
_CONFIGURATION = """
terraform {{
  required_providers {{
    constellation = {{ source = "{source}"{version} }}
  }}
}}
"""
_HIDDEN = ("TF_", "PYTHON", "XDG_")


@dataclass(frozen=True, slots=True)
class User:
    """Somebody.

    Attributes:
        tool: what they use.
        program: where it is.
        folder: for everything of theirs.
    """

    tool: Tool
    program: Path
    folder: Path

    @property
    def home(self) -> Path:
        """Their home."""
        return self.folder / "home"

    @property
    def address(self) -> str:
        """What their tool calls the provider."""
        return f"{self.tool.registry}/{SOURCE}"

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the tool; every registry is out of reach."""
        (self.folder / "tool.rc").touch()
        shown = {name: value for name, value in os.environ.items() if not name.startswith(_HIDDEN)}
        own = {"HOME": str(self.home), "TF_CLI_CONFIG_FILE": str(self.folder / "tool.rc"), "CHECKPOINT_DISABLE": "1"}
        proxy = {"HTTPS_PROXY": "http://127.0.0.1:1", "NO_PROXY": ""}
        compiled = {"PYTHONPYCACHEPREFIX": str(self.folder.parent / "compiled")}
        command = (str(self.program), *words)
        return subprocess.run(
            command, cwd=self.folder, env=shown | own | proxy | compiled, capture_output=True, text=True, check=False
        )

    def init(self, version: str = "") -> subprocess.CompletedProcess[str]:
        """Write a configuration that wants the provider, in some version, and initialise it."""
        wanted = f', version = "{version}"' if version else ""
        text = _CONFIGURATION.format(source=SOURCE, version=wanted)
        (self.folder / "main.tf").write_text(text, encoding="utf-8")
        return self.run("init", "-no-color")

    def schema(self) -> dict[str, Any]:
        """What the provider says that it has."""
        done = self.run("providers", "schema", "-json")
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)["provider_schemas"][self.address]
        return found
