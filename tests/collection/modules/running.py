# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Run a module of the collection in this process, with the arguments that a task would give it."""

from __future__ import annotations

import json
from contextlib import redirect_stdout
from importlib import import_module
from io import StringIO
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

PLACE = "ansible_collections.constellation.core.plugins.modules"


def run_module(name: str, /, *, check: bool = False, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - as tasks give them
    """Give what the module answers; a failure is an answer too, with `failed`."""
    said = StringIO()
    given = {**arguments, "_ansible_check_mode": check, "_ansible_diff": True, "_ansible_remote_tmp": "/tmp"}
    with patch_module_args(given), redirect_stdout(said), pytest.raises(SystemExit):
        import_module(f"{PLACE}.{name}").main()
    answer: dict[str, Any] = json.loads(said.getvalue())
    return answer
