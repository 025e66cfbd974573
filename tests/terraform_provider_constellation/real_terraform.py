# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The real Terraform with our provider in the test's own process."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from terraform_provider_constellation.main import ADDRESS
from terraform_provider_constellation.plugin.testing import reattached
from terraform_provider_constellation.provider import Constellation
from tests.terraform_provider_constellation.plugin.tools import TERRAFORM, Tool, empty_configuration, program_of

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[2]
EXAMPLES = REPOSITORY / "examples" / "terraform"
REQUIRE = (EXAMPLES / "provider.tf").read_text(encoding="utf-8")

SomeTerraform = TypeVar("SomeTerraform", bound="Terraform")


class Terraform(Tool):
    """Terraform or OpenTofu in a folder, with our provider."""

    @property
    def address(self) -> str:
        """What it calls our provider."""
        return ADDRESS.replace(TERRAFORM, self.registry)

    def write(self, configuration: str) -> None:
        """Replace the configuration."""
        (self.folder / "main.tf").write_text(f"{REQUIRE}\n{configuration}", encoding="utf-8")

    def outputs(self) -> dict[str, Any]:
        """What outputs have, by name."""
        answer = self.run("output", "-json")
        record: dict[str, Any] = json.loads(answer.out)
        return {name: output["value"] for name, output in record.items()}

    def problems(self, *arguments: str) -> list[dict[str, Any]]:
        """What `validate`, or another command that knows `-json`, finds wrong."""
        answer = json.loads(self.run("validate", "-json", *arguments).out)
        found: list[dict[str, Any]] = answer["diagnostics"]
        return found


@contextmanager
def serving(tool: SomeTerraform) -> Iterator[SomeTerraform]:
    """Let a tool that knows of no provider use ours, in this process."""
    empty_configuration(tool.folder)
    with reattached(Constellation(), address=tool.address) as environment:
        tool.environment |= environment
        yield tool


def real_terraform(folder: Path) -> AbstractContextManager[Terraform]:
    """Give a Terraform that knows our provider, or skip where there is none."""
    return serving(Terraform(program_of(TERRAFORM), TERRAFORM, folder))
