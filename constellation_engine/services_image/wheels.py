# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The middle layer: third-party packages, as `uv.lock` pins them, for the image's interpreter and system.

uv reads the lock, checks the hash of every wheel and unpacks it; nothing is built and nothing is run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from constellation_engine.errors import ImageBuildError
from constellation_engine.services_image.packages import PYTHON

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

EXTRAS: Final = ("services", "tdx", "aws")
PACKAGES: Final = f"usr/local/lib/python{PYTHON}/dist-packages"
"""Where Debian's interpreter looks for what Debian did not package."""
TITLE: Final = "Python packages of uv.lock"

_QUIET: Final = ("--quiet", "--no-progress")
_PLATFORM: Final = "x86_64-manylinux_2_40"  # the release has glibc 2.41
_NEVER_READ: Final = (
    "bin/*",  # programs for people
    "*.pyi",
    "*.pyx",
    "*.pxd",
    "*.h",
    "*/tests/*",
    "*.dist-info/RECORD",  # hashes of files that are not all there any more
    "*.dist-info/INSTALLER",
    "*.dist-info/REQUESTED",
    "*.dist-info/uv_*.json",
)
_ALL_OF_AWS: Final = "botocore/data/*/*"  # descriptions of four hundred services
_OUR_AWS: Final = ("botocore/data/kms/*", "botocore/data/sts/*", "botocore/data/sso*/*")


def install_wheels(repository: Path, folder: Path, *, timeout: float) -> None:
    """Put third-party packages into a folder.

    Args:
        repository: has `pyproject.toml` and `uv.lock`.
        folder: stands for the root of the file system.
        timeout: seconds.

    Raises:
        ImageBuildError: uv is missing or fails; it checks hashes.
    """
    requirements = export_requirements(repository, EXTRAS, timeout=timeout)
    install_requirements(repository, requirements, folder / PACKAGES, timeout=timeout)


def export_requirements(repository: Path, extras: Sequence[str], *, timeout: float) -> str:
    """Give what `uv.lock` pins for some extras of ours, with hashes, as pip reads it.

    Args:
        repository: has `pyproject.toml` and `uv.lock`.
        extras: of `pyproject.toml`.
        timeout: seconds.

    Raises:
        ImageBuildError: uv is missing or fails.
    """
    wanted = [word for extra in extras for word in ("--extra", extra)]
    export = ("export", *_QUIET, "--frozen", "--no-dev", "--no-emit-project", "--no-header", *wanted)
    return _run((find_uv(repository), *export), repository, timeout)


def install_requirements(repository: Path, requirements: str, target: Path, *, timeout: float) -> None:
    """Unpack wheels for the image's interpreter and system, without what an interpreter never reads.

    Args:
        repository: where uv is looked for.
        requirements: with hashes, as `export_requirements` gives them.
        target: folder for packages.
        timeout: seconds.

    Raises:
        ImageBuildError: uv is missing or fails; it checks hashes.
    """
    target.mkdir(parents=True)
    demands = ("--require-hashes", "--no-deps", "--only-binary", ":all:", "--link-mode", "copy")
    place = ("--target", str(target), "--python-version", PYTHON, "--python-platform", _PLATFORM)
    install = ("pip", "install", *_QUIET, *demands, *place, "--python", sys.executable, "--requirements", "-")
    _run((find_uv(repository), *install), repository, timeout, requirements)
    _remove_what_is_never_read(target)


def find_uv(repository: Path) -> str:
    """Find uv: as the environment variable UV says, on the PATH, or where `make setup` put it.

    Raises:
        ImageBuildError: it is nowhere.
    """
    own = repository / ".tools" / "bin" / "uv"
    found = os.environ.get("UV") or shutil.which("uv") or (str(own) if own.exists() else None)
    if not found:
        raise ImageBuildError("there is no uv on this machine", hint="run `make setup`, or: pip install uv")
    return found


def _run(command: Sequence[str], repository: Path, timeout: float, text: str | None = None) -> str:
    environment = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    environment.pop("VIRTUAL_ENV", None)
    try:
        done = subprocess.run(  # noqa: S603 - uv
            command,
            cwd=repository,
            env=environment,
            input=text,
            check=True,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
    except OSError as error:
        raise ImageBuildError(f"{command[0]} cannot be started: {error.strerror}") from None
    except subprocess.CalledProcessError as error:
        raise ImageBuildError(f"uv {command[1]} failed: {error.stderr.strip()[-2000:]}") from None
    except subprocess.TimeoutExpired:
        raise ImageBuildError(
            f"uv {command[1]} took more than {timeout:.0f} s", hint="wait longer: --timeout"
        ) from None
    return done.stdout


def _remove_what_is_never_read(target: Path) -> None:
    for path in [path for path in target.rglob("*") if not path.is_dir()]:
        name = path.relative_to(target).as_posix()
        of_other_services = fnmatchcase(name, _ALL_OF_AWS) and not _matches(name, _OUR_AWS)
        if of_other_services or _matches(name, _NEVER_READ):
            path.unlink()
    for folder in sorted(target.rglob("*"), key=lambda path: len(path.parts), reverse=True):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
