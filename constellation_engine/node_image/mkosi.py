# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Run mkosi: the machine's own if it is new enough, else Debian's package of it, unpacked into the cache.

mkosi is Python without dependencies, and brings every other tool itself, in a tree of the release that it builds
(`ToolsTree=`). So the machine needs little: Python, and user namespaces where the user is not root.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import sys
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from constellation_engine.components.watch import Stage
from constellation_engine.debian import deb
from constellation_engine.debian.mirror import KEYRING, fetch, newest
from constellation_engine.debian.packages import RELEASE, Archive
from constellation_engine.errors import NodeImageError
from constellation_engine.whole_files import whole_folder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from constellation_engine.components.watch import Watch
    from constellation_engine.debian.mirror import Mirrors

OLDEST: Final = 25  # the first that knows UnifiedKernelImages and tools trees as images/node uses them
TITLE: Final = "mkosi"

_MODULES: Final = "usr/lib/python3/dist-packages"
_PATIENCE: Final = 10.0  # seconds for mkosi to clean up
_LAST: Final = 4  # lines of the end of a log that people see
_STEP: Final = re.compile(r"‣\s*(?P<what>.+)")
_SOURCES: Final = """\
Types: deb
URIs: {address}
Suites: {suites}
Components: main
Signed-By: {keyring}
"""


@dataclass(frozen=True, slots=True)
class Mkosi:
    """How to start it.

    Attributes:
        command: program and first arguments.
        environment: variables that it needs.
    """

    command: Sequence[str]
    environment: Mapping[str, str]


def find_mkosi(cache: Path, mirrors: Mirrors, watch: Watch) -> Mkosi:
    """Find mkosi on this machine, or bring it.

    Args:
        cache: folder of node images.
        mirrors: of Debian.
        watch: is told if it has to be brought.

    Raises:
        NodeImageError: it is nowhere, and no mirror has it.
    """
    if (found := shutil.which("mkosi")) and _release(found) >= OLDEST:
        return Mkosi((found,), {})
    unpacked = cache / "mkosi"
    if not (unpacked / _MODULES / "mkosi").is_dir():
        watch.tell(TITLE, Stage.DOWNLOADING, "this machine has none, or too old a one")
        _bring(unpacked, mirrors, watch)
    return Mkosi((sys.executable, "-m", "mkosi"), {"PYTHONPATH": str(unpacked / _MODULES)})


def write_sources(folder: Path, mirrors: Mirrors, *, keyring: Path = KEYRING) -> Path:
    """Write where packages come from: a tree that mkosi puts over the configuration of its apt.

    No mirror's address stands in the repository; they are those of this machine, or what the user named.

    Args:
        folder: to make.
        mirrors: of Debian; empty where packages come from a folder alone.
        keyring: keys of the archive.

    Returns:
        The folder.
    """
    suites = {Archive.MAIN: f"{RELEASE} {RELEASE}-updates", Archive.SECURITY: f"{RELEASE}-security"}
    entries = [
        _SOURCES.format(address=mirrors[archive], suites=names, keyring=keyring)
        for archive, names in suites.items()
        if archive in mirrors
    ]
    place = folder / "etc/apt/sources.list.d/mkosi.sources"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("\n".join(entries), encoding="utf-8")
    return folder


def run(mkosi: Mkosi, arguments: Sequence[str], *, folder: Path, log: Path, watch: Watch, title: str) -> None:
    """Run mkosi, tell how it goes, and keep all that it says.

    Args:
        mkosi: how to start it.
        arguments: of it.
        folder: with its configuration.
        log: file for what it says; is appended to.
        watch: is told of steps, and ends it when its time is over.
        title: of what is built.

    Raises:
        NodeImageError: it failed; carries the last lines.
        GaveUpError: it took too long, or was called off.
    """
    environment = {**os.environ, **mkosi.environment, "LC_ALL": "C.UTF-8"}
    last: deque[str] = deque(maxlen=_LAST)
    with log.open("a", encoding="utf-8") as kept, _started(mkosi, arguments, folder, environment) as process:
        too_long = threading.Timer(watch.remaining(title), _end_group, (process.pid,))
        too_long.start()
        try:
            for line in process.stdout or ():
                kept.write(line)
                last.append(line.strip())
                if step := _STEP.match(line):
                    watch.tell(title, Stage.BUILDING, step["what"].strip()[:120])
            _wait_for(process.pid)
        finally:
            too_long.cancel()
            too_long.join()
            _end_group(process.pid)
    watch.remaining(title)  # who was ended for taking too long did not fail
    if process.returncode != 0:
        raise NodeImageError(f"mkosi failed: {' / '.join(filter(None, last))}", hint=f"everything it said: {log}")


def _started(
    mkosi: Mkosi, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - mkosi
        (*mkosi.command, *arguments),
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,  # so that its children end with it
    )


def _end_group(leader: int) -> None:
    """Ask a group of processes to end, and kill those that are left when their leader has ended.

    The caller has not reaped the leader, so that the number is still that of this group.
    """
    if not _wait_for(leader, timeout=0):
        os.killpg(leader, signal.SIGTERM)
        _wait_for(leader, timeout=_PATIENCE)
    os.killpg(leader, signal.SIGKILL)


def _wait_for(process: int, *, timeout: float | None = None) -> bool:
    """Wait until a process has ended, and leave it to be reaped; say whether it has (pidfd_open(2))."""
    descriptor = os.pidfd_open(process)
    try:
        return bool(select.select([descriptor], [], [], timeout)[0])
    finally:
        os.close(descriptor)


def _release(program: str) -> int:
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=30, check=True).stdout  # noqa: S603 - mkosi
    except (OSError, subprocess.SubprocessError):
        return 0
    found = re.search(r"\d+", said)
    return int(found.group()) if found else 0


def _bring(target: Path, mirrors: Mirrors, watch: Watch) -> None:
    (package,) = newest(frozenset({"mkosi"}), mirrors)
    if int(package.version.partition(".")[0]) < OLDEST:
        raise NodeImageError(
            f"expected mkosi {OLDEST} or newer, the mirror has {package.version}", hint="install it yourself"
        )
    with whole_folder(target) as draft:
        deb.unpack(fetch(package, mirrors, watch).read_bytes(), draft, ("usr/lib/python3/*",))
