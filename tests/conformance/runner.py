# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Run tests of Kubernetes' own `e2e.test` against a cluster."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from constellation_engine.components import Origin, Store
from tests.conformance.images import conformance_programs
from tests.conformance.junit import read_results

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from tests.conformance.junit import Result

TIMEOUT: Final = 4 * 3600.0  # seconds for all tests: an emulated machine is ten times as slow as others
BUILD_TIMEOUT: Final = 3600.0  # seconds; four minutes if Go has the modules
_LISTING_TIMEOUT: Final = 600.0  # seconds; three on a machine that does nothing else
_GRACE: Final = 120.0  # seconds for a run that has to end to remove its namespaces
_SUITE: Final = "Kubernetes e2e suite"
_KUBERNETES: Final = conformance_programs().manifest.version()


class Runner:
    """Runs tests.

    Args:
        folder: for logs and results.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._program = conformance_programs().fetch(["e2e.test"], only=Origin.BUILD, timeout=BUILD_TIMEOUT)["e2e.test"]
        self.log = folder / "e2e.log"

    def listed(self, flag: str) -> frozenset[str]:
        """Give what the program lists: `--list-tests`, `--list-images`. Needs no cluster."""
        said = subprocess.run(
            [self._program, flag], check=True, capture_output=True, text=True, timeout=_LISTING_TIMEOUT
        ).stdout
        return frozenset(re.sub(r"^\s*\S+\.go:\d+: ", "", line).strip() for line in said.splitlines())

    def choose(self, names: Iterable[str]) -> Mapping[str, Result]:
        """Run nothing, and tell which tests would run. Needs no cluster."""
        return self._run(names, ["--ginkgo.dry-run"], timeout=_LISTING_TIMEOUT)

    def run(
        self, names: Iterable[str], kubeconfig: Path, arguments: Sequence[str] = (), *, timeout: float = TIMEOUT
    ) -> Mapping[str, Result]:
        """Run tests, one after the other.

        Args:
            names: full names.
            kubeconfig: of somebody who may do everything.
            arguments: more of the program's.
            timeout: seconds for all of them; what ran by then has a result.

        Returns:
            Name → result: of all that were to run, and of all that ran.
        """
        kubectl = Store().fetch(["kubectl"], kubernetes=_KUBERNETES, timeout=BUILD_TIMEOUT)["kubectl"]
        words = [
            f"--kubeconfig={kubeconfig}",
            f"--kubectl-path={kubectl}",
            "--disable-log-dump=true",  # over SSH, which nodes do not have
            "--ginkgo.poll-progress-after=300s",
            f"--ginkgo.timeout={timeout:.0f}s",
            f"--ginkgo.grace-period={_GRACE:.0f}s",
            *arguments,
        ]
        return self._run(names, words, timeout=timeout + 2 * _GRACE)

    def _run(self, names: Iterable[str], arguments: Sequence[str], *, timeout: float) -> Mapping[str, Result]:
        chosen = tuple(names)
        focus = [f"--ginkgo.focus=^{re.escape(f'{_SUITE} {name}')}$" for name in chosen]
        common = [
            "--provider=skeleton",  # no cloud
            "--ginkgo.v",
            "--ginkgo.no-color",
            "--ginkgo.silence-skips",
            "--ginkgo.randomize-all=false",
            f"--report-dir={self._folder}",
        ]
        report = self._folder / "junit_01.xml"
        report.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            command = [str(self._program), *common, *arguments, *focus]
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=self._folder)
            try:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(timeout)
            finally:
                _end(process)
        return read_results(report.read_bytes() if report.exists() else b"", chosen)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the program, with time to clean up."""
    if process.poll() is None:
        os.kill(process.pid, signal.SIGINT)
        try:
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
