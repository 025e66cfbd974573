# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The real Terraform, and OpenTofu, for tests: each in a folder of its own, with no configuration of the user's."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.terraform_provider_constellation.plugin import opentofu, zoo

TERRAFORM, OPENTOFU = "registry.terraform.io", "registry.opentofu.org"
BOTH = [
    pytest.param(TERRAFORM, id="terraform"),
    pytest.param(OPENTOFU, id="opentofu", marks=[pytest.mark.slow, pytest.mark.timeout(1800)]),
]
REPOSITORY = Path(__file__).parents[3]
REQUIRE_ZOO = 'terraform {\n  required_providers {\n    zoo = { source = "example/zoo" }\n  }\n}\n'
_WORDS = re.compile(r"[\s│╷╵]+")


@dataclass(frozen=True, slots=True)
class Result:
    """What a command left."""

    status: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """Everything it said, as one line: Terraform breaks its own where it likes."""
        return _WORDS.sub(" ", f"{self.out} {self.err}")


@dataclass(slots=True)
class Tool:
    """Terraform or OpenTofu in a folder."""

    program: Path
    registry: str
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """What it calls the provider of the tests."""
        return f"{self.registry}/example/zoo"

    def write(self, configuration: str) -> None:
        """Replace the configuration."""
        (self.folder / "main.tf").write_text(REQUIRE_ZOO + configuration, encoding="utf-8")

    def run(self, *arguments: str, **environment: str) -> Result:
        """Run a command."""
        command = (str(self.program), arguments[0], *(["-no-color"] if arguments[0] != "show" else []), *arguments[1:])
        done = subprocess.run(
            command, cwd=self.folder, env=self.full(environment), capture_output=True, text=True, check=False
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start a command in a session of its own, so that signals reach it as they do from a terminal."""
        return subprocess.Popen(
            (str(self.program), *arguments, "-no-color"),
            cwd=self.folder,
            env=self.full(environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def full(self, environment: dict[str, str]) -> dict[str, str]:
        """The environment of a command."""
        own = {"CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": str(self.folder / "tool.rc"), "TF_IN_AUTOMATION": "1"}
        return {**os.environ, **own, **self.environment, **environment}

    def apply(self) -> Result:
        """Apply without questions."""
        return self.run("apply", "-auto-approve")

    def differs(self) -> bool:
        """Whether there is something to do; an error is an error."""
        result = self.run("plan", "-detailed-exitcode")
        assert result.status in (0, 2), result.text
        return result.status == 2

    def state(self, kind: str = "zoo_cage", name: str = "a") -> dict[str, Any]:
        """Attributes of a resource, as the state file has them."""
        instance = self.instance(kind, name)
        attributes: dict[str, Any] = instance["attributes"]
        return attributes

    def instance(self, kind: str = "zoo_cage", name: str = "a") -> dict[str, Any]:
        """A resource, as the state file has it."""
        state = json.loads((self.folder / "terraform.tfstate").read_text(encoding="utf-8"))
        found = next(item for item in state["resources"] if (item["type"], item["name"]) == (kind, name))
        instance: dict[str, Any] = found["instances"][0]
        return instance


def program_of(registry: str) -> Path:
    """Where Terraform or OpenTofu is; OpenTofu is built where it is not there, without Terraform a test is skipped."""
    if registry == OPENTOFU:
        return opentofu.built()
    program = shutil.which("terraform")
    if program is None:
        pytest.skip("terraform is not installed")
    return Path(program)


def empty_configuration(folder: Path) -> None:
    """Let the tool read no configuration of the user's."""
    (folder / "tool.rc").write_text("", encoding="utf-8")


def overridden(tool: Tool) -> None:
    """Let the tool start the provider as a program of its own: a script, beside it."""
    script = tool.folder / "bin" / "terraform-provider-zoo"
    _write_script(tool, script)
    override = f'dev_overrides {{ "{tool.address}" = "{script.parent}" }}\n  direct {{}}'
    (tool.folder / "tool.rc").write_text(f"provider_installation {{\n  {override}\n}}\n", encoding="utf-8")


def mirrored(tool: Tool, version: str) -> None:
    """Let the tool install the provider from a folder, as from a registry."""
    mirror = tool.folder / "mirror"
    _write_script(tool, mirror / tool.address / version / "linux_amd64" / f"terraform-provider-zoo_v{version}")
    install_from(tool.folder, mirror)


def install_from(folder: Path, mirror: Path) -> None:
    """Let the tool of a folder take providers from another one, and from nowhere else."""
    installation = f'filesystem_mirror {{\n    path = "{mirror}"\n  }}'
    (folder / "tool.rc").write_text(f"provider_installation {{\n  {installation}\n}}\n", encoding="utf-8")


def _write_script(tool: Tool, script: Path) -> None:
    script.parent.mkdir(parents=True)
    script.write_text(f"#!{sys.executable}\n{PROGRAM}", encoding="utf-8")
    script.chmod(0o755)
    # Without compiled modules each of the starts takes a second.
    tool.environment |= {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tool.folder.parent / "compiled")}
    tool.environment |= {"ZOO": str(tool.folder), "PYTHONPATH": str(REPOSITORY)}


PROGRAM = f"""
import sys
from terraform_provider_constellation.plugin.serving import serve

def make():
    from {zoo.__name__} import Zoo
    return Zoo()

sys.exit(serve(make, address="{zoo.ADDRESS}"))
"""
