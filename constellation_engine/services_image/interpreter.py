# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Run the image's own interpreter while the image is built, without root: by the image's own program loader.

It compiles modules (so that containers start fast, and by the very interpreter that will load them), and tries whether
everything that the services import is there. A compiled module names no time and is never compared with its source
("unchecked hash", PEP 552): image layers do not change.
"""

from __future__ import annotations

import os
import platform
import subprocess
from typing import TYPE_CHECKING, Final

from constellation_engine.container_images.frame import LIBRARIES
from constellation_engine.errors import ImageBuildError
from constellation_engine.services_image.packages import PYTHON

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_LOADER: Final = "usr/lib64/ld-linux-x86-64.so.2"
_IMPORT_ALL: Final = """
import importlib
from constellation_services.main import SERVICES
for name in SERVICES:
    importlib.import_module(f"constellation_services.{name}.service")
"""


def check_machine() -> None:
    """See that this machine can run programs of the image.

    Raises:
        ImageBuildError: it cannot.
    """
    machine = f"{platform.system()} {platform.machine()}"
    if machine != "Linux x86_64":
        raise ImageBuildError(
            f"expected Linux x86_64, got {machine}", hint="the image's interpreter compiles the modules: build on a PC"
        )


def compile_modules(base: Path, folder: Path, *, timeout: float) -> None:
    """Compile every module below a folder; each is named by its path in the image.

    Args:
        base: folder with the lowest layer.
        folder: stands for the root of the file system of a layer; may be the same.
        timeout: seconds.

    Raises:
        ImageBuildError: a module cannot be compiled.
    """
    how = ("-q", "--invalidation-mode", "unchecked-hash", "-s", str(folder), "-p", "/")
    _run(base, ("-m", "compileall", *how, str(folder)), timeout=timeout)


def try_imports(base: Path, search: Sequence[Path], *, timeout: float) -> None:
    """Import every service.

    Args:
        base: folder with the lowest layer.
        search: folders with packages.
        timeout: seconds.

    Raises:
        ImageBuildError: something that a service needs is not in the image.
    """
    _run(base, ("-c", _IMPORT_ALL), search, timeout=timeout)


def _run(base: Path, arguments: Sequence[str], search: Sequence[Path] = (), *, timeout: float) -> None:
    loader = (str(base / _LOADER), "--library-path", str(base / LIBRARIES))
    command = (*loader, str(base / f"usr/bin/python{PYTHON}"), "-s", "-P", "-B", *arguments)
    environment = {"PYTHONHASHSEED": "0", "PYTHONPATH": os.pathsep.join(map(str, search))}
    try:
        subprocess.run(command, env=environment, check=True, capture_output=True, timeout=timeout)  # noqa: S603 - ours
    except subprocess.CalledProcessError as error:
        said = (error.stdout + error.stderr).decode("utf-8", "replace").strip()
        raise ImageBuildError(f"the interpreter of the image failed: {said[-2000:]}") from None
    except subprocess.TimeoutExpired:
        raise ImageBuildError(f"the interpreter of the image took more than {timeout:.0f} s") from None
