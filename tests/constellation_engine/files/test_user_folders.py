# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What is a user's lies where the XDG Base Directory Specification says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from constellation_engine.user_folders import cache_folder, config_folder, data_folder

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDERS = [
    (cache_folder, "XDG_CACHE_HOME", ".cache"),
    (config_folder, "XDG_CONFIG_HOME", ".config"),
    (data_folder, "XDG_DATA_HOME", ".local/share"),
]


@pytest.mark.parametrize("folder, variable, usual", FOLDERS, ids=["cache", "config", "data"])
class TestFolder:
    def test_the_environment_names_it(self, folder: Callable[..., Path], variable: str, usual: str) -> None:
        assert folder({variable: f"/xdg/{usual}"}) == Path("/xdg", usual, "constellation")

    @pytest.mark.parametrize("value", ["", "relative/path"])
    def test_what_is_no_absolute_path_is_as_if_it_were_not_there(
        self, folder: Callable[..., Path], variable: str, usual: str, value: str
    ) -> None:
        assert folder({variable: value}) == folder({}) == Path.home() / usual / "constellation"
