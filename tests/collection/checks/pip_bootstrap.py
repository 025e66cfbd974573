# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""How ansible-test gets its first pip from PyPI, like everything else.

It makes environments of its own and would download a script for them from its own server, unless the script is in its
cache already. Ours has uv install the same release of pip. All else that it installs, pip takes from PyPI, pinned by
ansible-core, once: environments are kept in the home that ansible-test is started with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

PIP: Final = "24.2"  # what ansible-core 2.19 asks for

_SCRIPT: Final = """\
import subprocess, sys
packages = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
command = [{uv!r}, "pip", "install", "--quiet", "--system-certs", "--python", sys.executable, *packages]
sys.exit(subprocess.run(command).returncode)
"""


def write_bootstrap(home: Path, uv: Path) -> None:
    """Put the script where ansible-test looks for it.

    Args:
        home: that ansible-test is going to be started with.
        uv: the program.
    """
    path = home / ".ansible" / "test" / "cache" / f"get_pip_{PIP.replace('.', '_')}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_SCRIPT.format(uv=str(uv)))
