# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""How the agent of a node that serves is followed by a smaller one (docs/adr/0027).

Python keeps all that it ever imported, and init and join need a lot that a serving node does not: TLS with evidence,
HTTP/2, protobuf. So the program replaces itself with execve(2). The service manager sees the same process; what
protects is in the kernel and stays there; what the node remembers is on its disk. The one thing that is neither is the
measurement secret, from which the keys of pairs of nodes derive:

1. It goes over in memory (memfd_create(2)): no file, no argument, no environment holds it.
2. The memory is sealed: what arrives is what was given.
3. It is closed as soon as it is read, so that no program that the agent starts inherits it.

Whoever is started without it in a boot that is marked cannot go on, as before, and boots again.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from constellation_core.keys.derivation import SECRET_SIZE
from constellation_core.keys.secret import Secret
from node_agent.errors import PermanentError
from node_agent.sealing import is_sealed, seal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

OPTION: Final = "--inherited"


def begin_anew(secret: Secret, program: Sequence[str] = sys.orig_argv) -> NoReturn:
    """Replace this program by a new one of its kind.

    Args:
        secret: the measurement secret.
        program: how this one was started.
    """
    descriptor = hand_over(secret)
    os.set_inheritable(descriptor, True)  # noqa: FBT003 - the system's own interface
    os.execv(sys.executable, [sys.executable, *program[1:], OPTION, str(descriptor)])  # noqa: S606 - ourselves


def hand_over(secret: Secret) -> int:
    """Put a secret into sealed memory; give its descriptor."""
    descriptor = os.memfd_create("succession", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(descriptor, secret.reveal())
    seal(descriptor)
    return descriptor


def take_over(descriptor: int) -> Secret:
    """Take what the program before us handed over.

    Args:
        descriptor: that it left open; closed after this.

    Raises:
        PermanentError: there is none, or something else is behind it.
    """
    try:
        with os.fdopen(descriptor, "rb"):
            sealed = is_sealed(descriptor)
            content = os.pread(descriptor, SECRET_SIZE + 1, 0)
    except OSError as error:
        raise PermanentError(f"the agent before this one left nothing: {error.strerror}") from None
    if not sealed or len(content) != SECRET_SIZE:
        raise PermanentError(f"the agent before this one: expected {SECRET_SIZE} sealed bytes, got something else")
    return Secret(content)
