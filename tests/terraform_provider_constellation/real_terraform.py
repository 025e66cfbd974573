# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The real Terraform with our provider in the test's own process."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from terraform_provider_constellation.main import ADDRESS
from terraform_provider_constellation.plugin.testing import reattached
from terraform_provider_constellation.provider import Constellation
from tests.terraform_provider_constellation.plugin.tools import Tool, empty_configuration

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[2]
EXAMPLES = REPOSITORY / "examples" / "terraform"
REQUIRE = (EXAMPLES / "provider.tf").read_text(encoding="utf-8")


class Terraform(Tool):
    """Terraform in a folder, with our provider."""

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
def real_terraform(folder: Path) -> Iterator[Terraform]:
    """Give a Terraform that knows our provider, or skip where there is none."""
    program = shutil.which("terraform")
    if program is None:
        pytest.skip("terraform is not installed")
    empty_configuration(folder)
    with reattached(Constellation(), address=ADDRESS) as environment:
        yield Terraform(Path(program), "registry.terraform.io", folder, dict(environment))
