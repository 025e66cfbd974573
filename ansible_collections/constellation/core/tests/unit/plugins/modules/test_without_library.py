# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A host without the library is told what it lacks. ansible-test runs this where it is not installed."""

from __future__ import annotations

import json
from importlib import import_module

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.constellation.core.plugins.modules import master_secret


def test_a_host_without_the_library_is_told_what_to_install(capsys: pytest.CaptureFixture[str]) -> None:
    """It is one sentence, and no traceback."""
    with pytest.raises(ImportError):
        import_module("constellation_core")
    with patch_module_args({"path": "/nowhere"}), pytest.raises(SystemExit):
        master_secret.main()
    answer = json.loads(capsys.readouterr().out)
    assert answer["failed"]
    assert "constellation-kubernetes[engine]" in answer["msg"]
    assert "No module named 'constellation_core'" in answer["msg"]
