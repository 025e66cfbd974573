# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The provider as a program that needs no Python: PyInstaller's folder, with what the provider needs and nothing else.

A folder and not one file: that one would unpack itself at every start, which takes three times as long, and what it
started would live on when Terraform kills it. What is in it: `provider.spec`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from terraform_provider_constellation.packaging.errors import FreezeError
from terraform_provider_constellation.packaging.licences import copy_licences

_HERE: Final = Path(__file__).parent
_PROGRAM: Final = ("entry.py", "provider.spec")
_TIME: Final = "315532800"  # 1980-01-01, as in the zip


def freeze(folder: Path, *, name: str, timeout: float) -> None:
    """Make the program, its libraries, and the licences of all.

    Args:
        folder: to be made.
        name: of the program.
        timeout: seconds.

    Raises:
        FreezeError: PyInstaller did not do it.
    """
    with TemporaryDirectory() as temporary:
        work = Path(temporary)
        for file in _PROGRAM:  # away from our modules, which are not to be found by their last names
            shutil.copyfile(_HERE / file, work / file)
        _run_pyinstaller(work, name, timeout)
        shutil.copytree(work / "made" / name, folder)
    copy_licences(folder / name, folder / "licences")


def _run_pyinstaller(work: Path, name: str, timeout: float) -> None:
    where = ("--distpath", str(work / "made"), "--workpath", str(work / "work"))
    command = (sys.executable, "-m", "PyInstaller", "--log-level", "WARN", *where, "provider.spec", "--", name)
    own = {"PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH": _TIME, "PYINSTALLER_CONFIG_DIR": str(work / "cache")}
    try:
        done = subprocess.run(  # noqa: S603 - our own Python
            command, cwd=work, env=os.environ | own, check=False, capture_output=True, text=True, timeout=timeout
        )
    except subprocess.TimeoutExpired:
        hint = "try again with more time (--timeout)"
        raise FreezeError(f"PyInstaller was not done after {timeout:g} s", hint=hint) from None
    if done.returncode:
        last = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise FreezeError(f"PyInstaller failed:\n{last}", hint="repair what it says")
