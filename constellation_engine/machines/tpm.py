# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The TPM of a machine: one process of swtpm, whose state outlives power cycles.

The two processes share a pair of sockets: the TPM has no address at which anybody else could speak to it, and it ends
with the machine.
"""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

from constellation_engine.errors import MachineFailedError
from constellation_engine.machines import processes
from constellation_engine.machines.programs import find_program, run, tail

if TYPE_CHECKING:
    from collections.abc import Iterator

    from constellation_engine.machines.layout import Layout


def manufacture(layout: Layout) -> None:
    """Make a TPM with endorsement keys and the SHA-256 bank.

    Its endorsement keys have no certificates: whoever made them here would vouch for nothing.

    Raises:
        MissingProgramError: swtpm is not installed.
        MachineFailedError: it does not work.
    """
    find_program("swtpm")
    layout.tpm_state.mkdir(mode=0o700)
    options = ["--tpm2", "--tpmstate", str(layout.tpm_state), "--createek", "--pcr-banks", "sha256"]
    # Its default configuration names a certificate authority; without certificates none is needed.
    run([str(find_program("swtpm_setup")), *options, "--config", "/dev/null"])


@contextmanager
def running_tpm(layout: Layout) -> Iterator[int]:
    """Start the TPM; give the descriptor with which QEMU reaches it.

    It ends with the machine that has that open, or when the block fails.

    Raises:
        MissingProgramError: swtpm is not installed.
        MachineFailedError: it does not start; with the end of its log.
    """
    program = find_program("swtpm")
    processes.kill(layout.tpm)  # whoever lost its machine without noticing
    begin = layout.tpm_log.stat().st_size if layout.tpm_log.exists() else 0
    ours, theirs = socket.socketpair()
    options = ["--tpm2", "--tpmstate", f"dir={layout.tpm_state}", "--ctrl", f"type=unixio,clientfd={theirs.fileno()}"]
    options += ["--terminate", "--daemon", *layout.tpm, "--log", f"file={layout.tpm_log}"]
    with ours:
        with theirs:
            try:
                run([str(program), "socket", *options], descriptors=[theirs.fileno()])
            except MachineFailedError as error:
                raise MachineFailedError(f"{error}\n{tail(layout.tpm_log, begin)}".strip()) from None
        try:
            yield ours.fileno()
        except BaseException:
            processes.kill(layout.tpm)  # whom no machine ever spoke to does not notice that it is gone
            raise
