# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a playbook costs where there is nothing to do: `python -m benchmarks.collection [WORKSPACE]`.

A call of a module is a tenth of what a playbook with eleven such tasks takes more than one with a single task. Beside
it stands a module of ansible-core that looks at the same file. With the workspace of a cluster that is up, `site` is
measured as well: it looks at the cluster, and has every node prove what it booted.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from benchmarks.footprint import compiled
from benchmarks.subject import REPOSITORY
from benchmarks.table import Promise, Row, show

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CALL_TARGET: Final = 0.6  # seconds of one call of a module
SITE_TARGET: Final = 12.0  # seconds of `site` on one control plane and one worker

_MORE: Final = 10  # tasks
_CHANGED_NOTHING: Final = " changed=0 "


def main() -> int:
    """Measure what the command line asks for, and print it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.collection", description="Measure playbooks.")
    parser.add_argument("workspace", nargs="?", type=Path, help="of a cluster that is up")
    parser.add_argument("--rounds", type=int, default=5, help="how often to measure each figure; the best counts")
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        return show(_rows(Path(folder), options.workspace, options.rounds), markdown=options.markdown)


def _rows(home: Path, workspace: Path | None, rounds: int) -> Iterator[Row]:
    secret = {"path": str(home / "master-secret.json")}
    _play(home, [{"constellation.core.master_secret": secret}])  # makes it
    ours = _call(home, {"constellation.core.master_secret": secret}, rounds)
    peers = _call(home, {"ansible.builtin.stat": secret}, rounds)
    yield Row(
        what="a call of the module master_secret",
        ours=f"{ours:.2f} s",
        peer=f"{peers:.2f} s (stat)",
        ratio=f"{ours / peers:.1f} ×",
        promises=(Promise(f"≤ {CALL_TARGET:g} s", kept=ours <= CALL_TARGET),),
    )
    if workspace is not None:
        place = f"constellation_workspace={workspace.absolute()}"
        site = min(_run(home, "constellation.core.site", "--extra-vars", place) for _ in range(rounds))
        promise = Promise(f"≤ {SITE_TARGET:g} s", kept=site <= SITE_TARGET)
        yield Row(what="site, nothing to do", ours=f"{site:.1f} s", promises=(promise,))


def _call(home: Path, task: Mapping[str, Any], rounds: int) -> float:
    """Give the seconds that one more task takes."""
    few, many = (min(_play(home, [task] * number) for _ in range(rounds)) for number in (1, 1 + _MORE))
    return (many - few) / _MORE


def _play(home: Path, tasks: list[Mapping[str, Any]]) -> float:
    playbook = home / "playbook.json"
    playbook.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]), encoding="utf-8")
    return _run(home, str(playbook))


def _run(home: Path, playbook: str, *options: str) -> float:
    """Give the seconds of a playbook."""
    start = perf_counter()
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "-i", "localhost,", "-c", "local", *options, playbook],
        check=False,
        capture_output=True,
        text=True,
        cwd=home,
        env=_environment(home),
    )
    seconds = perf_counter() - start
    if done.returncode or (options and _CHANGED_NOTHING not in " ".join(done.stdout.split())):
        raise RuntimeError(f"{playbook}: {done.stdout}{done.stderr}")
    return seconds


def _environment(home: Path) -> dict[str, str]:
    """Nothing of the user's, and modules that were compiled before, as where they are installed."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    ansible = {
        "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY),
        "ANSIBLE_HOME": str(home / ".ansible"),
        "ANSIBLE_LOCALHOST_WARNING": "False",
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
    }
    return others | ansible | compiled(home / "compiled") | {"HOME": str(home), "LC_ALL": "C.UTF-8"}


if __name__ == "__main__":
    sys.exit(main())
