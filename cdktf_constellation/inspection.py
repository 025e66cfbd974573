# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""For tests of your own: what a configuration says, and what Terraform thinks of it.

def test_the_cluster_is_verified() -> None:
written = Written.of(configuration)  # or a stack
assert written.only("constellation_verification")["timeout"] == "5m"
assert written.diagnostics(tmp_path) == []
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cdktf_constellation.errors import NotFoundError
from cdktf_constellation.model.configuration import Configuration
from cdktf_constellation.model.record import to_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cdktn import TerraformStack

_LONGEST_RUN: Final = 120.0  # seconds


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """What Terraform says about a configuration.

    Attributes:
        severity: "error" or "warning".
        summary: in a few words.
        detail: what was expected, what came.
    """

    severity: str
    summary: str
    detail: str


@dataclass(frozen=True, slots=True)
class Written:
    """A configuration as Terraform reads it.

    Attributes:
        document: plain data.
    """

    document: Mapping[str, Any]

    @classmethod
    def of(cls, source: Configuration | TerraformStack) -> Written:
        """Write a configuration of the model, or a stack of constructs."""
        if isinstance(source, Configuration):
            return cls(source.to_terraform())
        from cdktf_constellation.constructs.typed import library  # noqa: PLC0415 - it starts Node.js

        return cls(json.loads(library.Testing.synth(source)))

    def blocks(self, type_: str) -> dict[str, Any]:
        """Give resources and data sources of a type, by label; without what libraries note about them."""
        found = {**self.document.get("resource", {}).get(type_, {}), **self.document.get("data", {}).get(type_, {})}
        return {label: {name: body[name] for name in body if name != "//"} for label, body in found.items()}

    def only(self, type_: str) -> dict[str, Any]:
        """Give the one block of a type.

        Raises:
            NotFoundError: there is none, or there are several.
        """
        found = self.blocks(type_)
        if len(found) != 1:
            raise NotFoundError(f"expected one {type_}, found {', '.join(found) or 'none'}")
        body: dict[str, Any] = next(iter(found.values()))
        return body

    def diagnostics(self, folder: Path, *, terraform: str = "terraform") -> list[Diagnostic]:
        """Ask Terraform whether it is valid.

        Args:
            folder: an empty one, to work in.
            terraform: the program: `tofu` does as well.

        Raises:
            NotFoundError: there is no such program, or it cannot work here, such as without the provider.
        """
        program = shutil.which(terraform)
        if program is None:
            raise NotFoundError(f"expected the program {terraform}, found none")
        (folder / "main.tf.json").write_text(to_json(self.document), encoding="utf-8")
        begun = _run(folder, program, "init", "-backend=false", "-input=false", "-no-color")
        if begun.returncode:
            raise NotFoundError(f"{terraform} init failed: {begun.stderr.strip()}")
        answer = json.loads(_run(folder, program, "validate", "-json").stdout)
        return [Diagnostic(one["severity"], one["summary"], one.get("detail", "")) for one in answer["diagnostics"]]


def _run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - the user's own program
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=_LONGEST_RUN
    )
