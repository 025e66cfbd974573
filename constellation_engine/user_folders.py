# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Where Constellation keeps what is a user's (XDG Base Directory Specification 0.8)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_OURS: Final = "constellation"


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Give the folder of what can be fetched or made again."""
    return _folder(environment, "XDG_CACHE_HOME", ".cache")


def config_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Give the folder of what the user chose, and of keys."""
    return _folder(environment, "XDG_CONFIG_HOME", ".config")


def data_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Give the folder of what the user made: images, clusters."""
    return _folder(environment, "XDG_DATA_HOME", ".local/share")


def _folder(environment: Mapping[str, str], variable: str, usual: str) -> Path:
    named = Path(environment.get(variable, ""))
    return (named if named.is_absolute() else Path.home() / usual) / _OURS  # a relative path counts as none, says XDG
