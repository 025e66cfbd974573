# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What must be installed before the provider can be started, or packed."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from typing import Final

from terraform_provider_constellation.packaging.errors import MissingToolError

_OURS: Final = "constellation-kubernetes"
_TO_RUN: Final = {"msgpack": "msgpack", "grpclib": "grpclib", "lightkube": "lightkube"}
_TO_PACK: Final = {"PyInstaller": "pyinstaller", "sevsnpmeasure": "sev-snp-measure"}
"""Modules, and the packages that have them."""


def require_to_run() -> None:
    """Find out whether the provider can be started in this environment.

    Raises:
        MissingToolError: it cannot.
    """
    _require(_TO_RUN, hint=f"install it where this program is: pip install '{_OURS}[provider]'")


def require_to_pack() -> None:
    """Find out whether everything is here that packs the provider, and everything that belongs into the zip.

    Raises:
        MissingToolError: it is not.
    """
    hint = f"pip install '{_OURS}[provider,build]' pyinstaller, or in a checkout: uv sync --all-extras"
    _require(_TO_RUN | _TO_PACK, hint=hint)
    if shutil.which("strip") is None:
        raise MissingToolError("expected the command `strip`, found none", hint="install binutils")


def _require(modules: dict[str, str], *, hint: str) -> None:
    missing = [package for module, package in modules.items() if find_spec(module) is None]
    if missing:
        raise MissingToolError(f"expected the Python packages {', '.join(missing)}, found none", hint=hint)
