# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Examples of pages: a folder with a file a page, and what of it readers need not see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Examples:
    """A folder of examples.

    provider.tf                    of the provider itself
    resources/NAME.tf              of a resource; `data-sources`, `ephemeral-resources` and `functions` likewise
    resources/NAME.import.sh       how one is imported

    Attributes:
        folder: where they are.
    """

    folder: Path

    def configuration(self, page: str) -> str:
        """Give the example of a page, without the comment that says whose it is; nothing where there is none.

        Args:
            page: such as `resources/zoo_cage`.
        """
        return self._read(f"{page}.tf")

    def import_commands(self, page: str) -> str:
        """Give the commands that import a resource; nothing where there are none."""
        return self._read(f"{page}.import.sh")

    def _read(self, name: str) -> str:
        path = self.folder / name
        if not path.is_file():
            return ""
        lines = path.read_text(encoding="utf-8").splitlines()
        while lines and (not lines[0] or lines[0].startswith(("# SPDX-", "#!"))):
            del lines[0]
        return "\n".join(lines).strip()
