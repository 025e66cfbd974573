# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Running `kubeadm init` and `kubeadm join`, with a line of progress for each phase and one every ten seconds.

It is one process for all phases: each start of kubeadm costs an emulated machine two seconds, and init has fourteen
phases. Which phase it is in, it says at the beginning of each line: `[certs] Generating "ca" certificate and key`.

Skipped are its checks of the machine (the image was measured, and they would ask containerd about each image), and its
advice how to join. A node that is a member of etcd already, after a power cut, has its files and runs its kubelet.

kubeadm does not sync what it writes, so we do, at every phase of a join: a member of etcd must be able to start again.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from node_agent.errors import PermanentError, ProgramError, TemporaryError
from node_agent.kubernetes.paths import PROGRAMS
from node_agent.kubernetes.setup import Kind, write_secret
from node_agent.programs import follow

if TYPE_CHECKING:
    from constellation_core.keys.secret import Secret
    from node_agent.kubernetes.patience import Patience
    from node_agent.parts import Report

CONFIGURATION: Final = Path("/run/constellation/kubeadm.yaml")  # in memory; gone when kubeadm ends
SKIPPED_IN_INIT: Final = ("preflight", "show-join-command")
SKIPPED_IN_JOIN: Final = ("preflight",)
SKIPPED_BY_MEMBER: Final = (*SKIPPED_IN_JOIN, "control-plane-prepare", "kubelet-start")
HEARTBEAT: Final = 10.0  # seconds between two lines while nothing happens

_PHASE: Final = re.compile(r"^\[(?P<phase>[a-z-]+)\]")
_IN_BETWEEN: Final = frozenset({"init", "kubelet", "patches", "upload-certs"})  # words that stand where phases do
_NODE_IS_THERE: Final = 'status "Ready" already exists in the cluster'


class Progress:
    """What kubeadm is doing, as lines for people.

    Args:
        report: takes them.
        syncs: write everything to the disk at every phase.
    """

    def __init__(self, report: Report, *, syncs: bool) -> None:
        self._report = report
        self._syncs = syncs
        self._loop = asyncio.get_running_loop()
        self._start = time.monotonic()
        self.phase = "start"

    def line(self, text: str) -> None:
        """Take a line of kubeadm's output."""
        found = _PHASE.match(text)
        if found and found["phase"] not in {self.phase, *_IN_BETWEEN}:
            self.phase = found["phase"]
            if self._syncs:
                self._loop.run_in_executor(None, os.sync)
            self._tell()

    async def tell_again(self) -> None:
        """Say every ten seconds that it still goes on, until cancelled."""
        while True:
            await asyncio.sleep(HEARTBEAT)
            self._tell()

    def _tell(self) -> None:
        self._report(f"kubeadm {self.phase}, {time.monotonic() - self._start:.0f} s")


async def run_kubeadm(kind: Kind, documents: Secret, *, is_member: bool, patience: Patience, report: Report) -> None:
    """Run kubeadm to its end.

    Args:
        kind: init or join.
        documents: its configuration.
        is_member: this node is a member of etcd, and its kubelet runs, since an attempt that did not finish.
        patience: how slow the machine is.
        report: takes progress.

    Raises:
        TemporaryError: the cluster believes that this node still runs; it notices within a minute.
        PermanentError: it failed; with the phase, and its last lines.
    """
    progress = Progress(report, syncs=kind is Kind.JOIN)
    heartbeat = asyncio.create_task(progress.tell_again())
    write_secret(CONFIGURATION, documents)
    skipped = SKIPPED_IN_INIT if kind is Kind.INIT else SKIPPED_BY_MEMBER if is_member else SKIPPED_IN_JOIN
    command = [PROGRAMS / "kubeadm", kind.value, f"--config={CONFIGURATION}", f"--skip-phases={','.join(skipped)}"]
    try:
        await follow(command, time_limit=patience.setup_timeout, line=progress.line)
    except ProgramError as error:
        raise _explained(error, progress.phase) from None
    finally:
        heartbeat.cancel()
        with suppress(asyncio.CancelledError):
            await heartbeat
        CONFIGURATION.unlink(missing_ok=True)


def _explained(error: ProgramError, phase: str) -> PermanentError | TemporaryError:
    said = "\n".join(error.last_words)
    if _NODE_IS_THERE in said:
        return TemporaryError("the cluster believes that this node still runs", delay=20.0)
    return ProgramError(f"phase {phase}: {error}")
