# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A public text file that a module keeps: what is there, what should be there, and the difference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from ansible.module_utils.basic import AnsibleModule

MODE = 0o644
MAX_LINE = 16 * 1024  # bytes


@dataclass(frozen=True)
class KeptFile:
    """One file.

    Attributes:
        path: of it.
        text: what it should have.
    """

    path: Path
    text: str

    @property
    def differs(self) -> bool:
        """Whether it is not there, or has something else."""
        return not self.path.exists() or self._before() != self.text

    @property
    def diff(self) -> dict[str, str]:
        """Give the difference as Ansible shows it."""
        return {
            "before": self._before(),
            "after": self.text,
            "before_header": str(self.path),
            "after_header": str(self.path),
        }

    def keep(self, module: AnsibleModule, answer: dict[str, Any]) -> None:
        """Write it, unless in check mode, and say in the answer of a module what that changes.

        Args:
            module: which.
            answer: of it; `changed` and the list `diff` are added to.

        Raises:
            EngineError: it cannot be written.
        """
        answer["changed"] |= self.differs
        answer["diff"].append(self.diff)
        if not module.check_mode:
            self.write()

    def write(self) -> None:
        """Write it, whole or not at all, where it differs.

        Raises:
            EngineError: it cannot be written.
        """
        from constellation_engine.errors import EngineError
        from constellation_engine.whole_files import whole_file

        if not self.differs:
            return
        try:
            with whole_file(self.path, mode=MODE) as draft:
                draft.write_text(self.text, encoding="utf-8")
        except OSError as error:
            hint = "name a file in a folder of yours"
            raise EngineError(f"{self.path} cannot be written: {error.strerror}", hint=hint) from None

    def _before(self) -> str:
        return self.path.read_text(encoding="utf-8", errors="replace") if self.path.is_file() else ""


def read_line(path: Path) -> str:
    """Read the first line of a file; nothing where there is none."""
    try:
        with path.open("rb") as file:
            line = file.readline(MAX_LINE)
    except OSError:
        return ""
    return line.decode("utf-8", "replace").strip()
