# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Every check that Ansible's own tools make of the collection (`nox -s collection`).

    python -m tests.collection.checks [CHECK...]

They look at a clean copy in `.cache/collection`, which is also their home: nothing of the user's takes part. The first
run takes what ansible-test needs from PyPI; later ones use no network. What a check says is shown when it fails.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from tests.collection.checks.clean_copy import REPOSITORY, copy_collection
from tests.collection.checks.pip_bootstrap import write_bootstrap

KEPT: Final = REPOSITORY / ".cache" / "collection"
PYTHON: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
CHECKS: Final = {
    "sanity": ("ansible-test", "sanity", "--python", PYTHON, "--color", "no"),
    "units": ("ansible-test", "units", "--venv", "--python", PYTHON, "--color", "no"),
    "lint": ("ansible-lint", "--config-file", ".ansible-lint", "--nocolor"),
    "documentation": ("antsibull-docs", "lint-collection-docs", "--plugin-docs", "."),
    "changelog": ("antsibull-changelog", "lint"),
}
OUTPUT: Final = "tests/output"  # ansible-test keeps the environment of unit tests there


def main(names: list[str]) -> int:
    """Run the checks of these names, or all; the number of those that fail is the answer."""
    KEPT.mkdir(parents=True, exist_ok=True)
    with (KEPT / "lock").open("w") as lock, ThreadPoolExecutor(os.cpu_count()) as pool:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two runs have one copy
        write_bootstrap(KEPT, Path(os.environ.get("UV") or REPOSITORY / ".tools" / "bin" / "uv"))
        copy = copy_collection(KEPT, kept=OUTPUT)
        _make_apart(KEPT)
        return sum(not passed for passed in pool.map(lambda name: passes(name, copy), names or CHECKS))


def passes(name: str, copy: Path) -> bool:
    """Run one check, and say how it went."""
    start = time.monotonic()
    done = subprocess.run(
        CHECKS[name],
        check=False,
        cwd=copy,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    print(f"{name}: {'failed' if done.returncode else 'passed'} in {time.monotonic() - start:.1f} s", flush=True)  # noqa: T201
    if done.returncode:
        print(done.stdout, flush=True)  # noqa: T201 - what there is to mend
    return not done.returncode


def _make_apart(folder: Path) -> None:
    """Make it a repository of git of its own: ansible-test looks at what git knows, and ours ignores this folder."""
    subprocess.run(["git", "init", "--quiet", folder], check=True)
    (folder / ".git" / "info" / "exclude").write_text(f"**/{OUTPUT}\n")


def environment() -> dict[str, str]:
    """The user's, without what is there for Ansible, and with a home in the cache."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    return {
        **others,
        "ANSIBLE_COLLECTIONS_PATH": str(KEPT),
        "ANSIBLE_HOME": str(KEPT / ".ansible"),
        "HOME": str(KEPT),
        "LC_ALL": "C.UTF-8",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
