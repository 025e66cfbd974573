# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Build a program from Go modules, to the same bytes on every machine (https://go.dev/blog/rebuild).

The folder's go.sum pins every source, the recipe pins the toolchain, and what else of the environment would change the
bytes is set here. The Go command fetches sources and toolchain as its own settings say (GOPROXY), and checks them.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Final

from constellation_engine.components.watch import Stage
from constellation_engine.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from constellation_engine.components.component import Recipe
    from constellation_engine.components.watch import Watch

_TICK: Final = 0.5  # seconds between two looks at the watch
_LOG_LINES: Final = 5  # of a failed command, the last ones, go into its error
_GET_GO: Final = (
    "install Go 1.21 or newer from https://go.dev/dl/ or your distribution; it fetches the right one itself"
)
_GET_SOURCES: Final = "Go fetches what it misses: see that the network is there, or what `go env GOPROXY` says"


def build(recipe: Recipe, target: Path, watch: Watch, title: str) -> None:
    """Build a program.

    Args:
        recipe: what to build, and how.
        target: the file to write. Its hash is not checked here.
        watch: is told that it goes on.
        title: what it is, for people.

    Raises:
        BuildError: there is no Go, or the build fails.
        GaveUpError: it took too long.
    """
    command = _Go(recipe, watch, title)
    version = command.run("version")
    if recipe.toolchain not in version.split():
        raise BuildError(f"{title}: expected {recipe.toolchain}, got {version}", hint=_GET_GO)
    # No symbols, no paths of this machine, no build id, no state of a repository that the folder may lie in.
    linker = " ".join(["-s", "-w", "-buildid=", *(f"-X={variable}" for variable in recipe.variables)])
    options = ("-trimpath", "-buildvcs=false", "-tags", ",".join(recipe.tags), "-ldflags", linker)
    words = ("test", "-c", "-vet=off") if recipe.is_test else ("build",)
    command.run(*words, *options, "-o", str(target), recipe.package)


class _Go:
    """The Go command, as one recipe wants it."""

    def __init__(self, recipe: Recipe, watch: Watch, title: str) -> None:
        system, architecture = recipe.platform.split("/")
        self._folder = recipe.folder
        self._environment = os.environ | {
            "CGO_ENABLED": "0",
            "GOAMD64": "v1",
            "GOARCH": architecture,
            "GOFLAGS": "-mod=readonly",
            "GOOS": system,
            "GOTOOLCHAIN": recipe.toolchain,
            "GOWORK": "off",
        }
        self._watch = watch
        self._title = title

    def run(self, *arguments: str) -> str:
        """Run it and give what it says."""
        with tempfile.TemporaryFile() as log:
            with self._started(arguments, log) as process:
                self._wait(process)
            log.seek(0)
            output = log.read().decode(errors="replace").strip()
        if process.returncode:
            last = "; ".join(output.splitlines()[-_LOG_LINES:])
            raise BuildError(f"{self._title}: `go {arguments[0]}` failed: {last}", hint=_GET_SOURCES)
        return output

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        start = time.monotonic()
        while True:
            try:
                process.wait(timeout=min(_TICK, self._watch.remaining(self._title)))
            except subprocess.TimeoutExpired:
                self._watch.tell(self._title, Stage.BUILDING, f"{time.monotonic() - start:.0f} s")
            else:
                return

    @contextmanager
    def _started(self, arguments: tuple[str, ...], log: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
        """Start it in a session of its own, so that the compilers that it starts end with it."""
        program = shutil.which("go")
        if program is None:
            raise BuildError(f"{self._title}: expected the command `go`, found none", hint=_GET_GO)
        process = subprocess.Popen(  # noqa: S603 - the arguments are the manifest's
            (program, *arguments),
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
