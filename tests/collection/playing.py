# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Run the real ansible-playbook, and its sister programs, with the collection of this repository.

Nothing of the user's is read or written: home, configuration and caches are in a folder of the test. The fixture `play`
(conftest.py) gives a `Player`:

    def test_a_role(play: Player) -> None:
        keys = {"ansible.builtin.import_role": {"name": "constellation.core.keys"}}
        played = play([keys], variables={"keys_folder": …})
        assert played.changed == {"localhost": 2}
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

REPOSITORY: Final = Path(__file__).parents[2]
COLLECTION: Final = REPOSITORY / "ansible_collections" / "constellation" / "core"

_RECAP: Final = re.compile(
    r"^(?P<host>\S+)\s+: ok=\d+\s+changed=(?P<changed>\d+)\s+unreachable=(?P<unreachable>\d+)\s+failed=(?P<failed>\d+)",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Played:
    """What a run came to.

    Attributes:
        status: of the program; 0 where everything went well.
        text: what it wrote, stdout and stderr.
        changed: how many tasks changed something, by host.
        failed: how many tasks failed or did not reach their host, by host.
    """

    status: int
    text: str
    changed: dict[str, int]
    failed: dict[str, int]


class Player:
    """Runs playbooks, with a home of its own.

    Args:
        home: folder for everything that Ansible keeps.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self._number = count()
        (home / "ansible.cfg").touch()

    def __call__(
        self,
        playbook: str | Path | Sequence[Mapping[str, Any]],
        *options: str,
        inventory: str | Path = "localhost,",
        check: bool = False,
        diff: bool = False,
        verbosity: int = 0,
        variables: Mapping[str, Any] | None = None,
        timeout: float = 55,
    ) -> Played:
        """Run a playbook.

        Args:
            playbook: a file, a name as `constellation.core.site`, or tasks for all hosts of the inventory.
            options: more for the command line.
            inventory: names with commas, or a file or folder. Hosts that say nothing else are this machine.
            check: predict only.
            diff: show what changes.
            verbosity: how many `v`.
            variables: extra variables, which win over all others.
            timeout: seconds.

        Raises:
            subprocess.TimeoutExpired: it took longer.
        """
        name = str(playbook if isinstance(playbook, str | Path) else self._play_of(playbook))
        given = [
            *("--inventory", str(inventory), "--connection", "local"),
            *(["--check"] if check else []),
            *(["--diff"] if diff else []),
            *(["-" + "v" * verbosity] if verbosity else []),
            *(["--extra-vars", f"@{self._written(variables)}"] if variables else []),
        ]
        done = self.run("ansible-playbook", *given, *options, name, timeout=timeout)
        recap = list(_RECAP.finditer(done.stdout))
        return Played(
            status=done.returncode,
            text=done.stdout,
            changed={line["host"]: int(line["changed"]) for line in recap},
            failed={line["host"]: int(line["failed"]) + int(line["unreachable"]) for line in recap},
        )

    def run(
        self, program: str, *arguments: str, timeout: float = 55, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of Ansible's, as `ansible-inventory`; stderr is in its stdout.

        Args:
            program: its name.
            arguments: of it.
            timeout: seconds.
            environment: other variables than `environment`.

        Raises:
            subprocess.TimeoutExpired: it took longer.
        """
        return subprocess.run(
            [Path(sys.executable).with_name(program), *arguments],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            cwd=self.home,
            env=environment or self.environment,
        )

    @property
    def environment(self) -> dict[str, str]:
        """Variables that the programs run with: none of the user's for Ansible."""
        others = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        return {
            **others,
            "HOME": str(self.home),
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY),
            "ANSIBLE_CONFIG": str(self.home / "ansible.cfg"),
            "ANSIBLE_HOME": str(self.home / ".ansible"),
            "ANSIBLE_LOCALHOST_WARNING": "False",
            "ANSIBLE_NOCOLOR": "True",
            "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        }

    def _play_of(self, tasks: Sequence[Mapping[str, Any]]) -> Path:
        return self._written([{"name": "Test", "hosts": "all", "gather_facts": False, "tasks": list(tasks)}])

    def _written(self, content: object) -> Path:
        path = self.home / f"given-{next(self._number)}.json"
        path.write_text(json.dumps(content))  # every JSON is YAML
        return path
