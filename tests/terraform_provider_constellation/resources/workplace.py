# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The real Terraform with the provider in this process, in a folder with a configuration of its own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

from tests.terraform_provider_constellation.real_terraform import Terraform

if TYPE_CHECKING:
    from tests.terraform_provider_constellation.plugin.tools import Result


@dataclass(slots=True)
class Workplace(Terraform):
    """Terraform in a folder."""

    def applied(self) -> Result:
        """Apply, and see that it worked."""
        result = self.apply()
        assert result.status == 0, result.text
        return result

    def planned(self) -> dict[str, Any]:
        """Plan, and give what Terraform says about the plan, as JSON."""
        result = self.run("plan", "-out=plan")
        assert result.status == 0, result.text
        shown: dict[str, Any] = json.loads(self.run("show", "-json", "plan").out)
        return shown

    def change(self, address: str) -> dict[str, Any]:
        """Plan, and give what happens to one resource."""
        found = next(one for one in self.planned()["resource_changes"] if one["address"] == address)
        change: dict[str, Any] = found["change"]
        return change

    def stored(self) -> bytes:
        """Give everything that Terraform keeps: states and plans."""
        contents = [path.read_bytes() for path in self.folder.glob("terraform.tfstate*")]
        if (self.folder / "plan").exists():
            with ZipFile(self.folder / "plan") as plan:
                contents += [plan.read(name) for name in plan.namelist()]
        return b"\n".join(contents)
