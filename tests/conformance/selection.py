# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Which of Kubernetes' conformance tests run here: selection.toml beside this file."""

from __future__ import annotations

import tomllib
from itertools import chain
from pathlib import Path
from typing import Final

_FILE: Final = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))

SUBJECTS: Final[dict[str, list[str]]] = _FILE["subjects"]
"""What is tested → full names of tests."""

ALL: Final = tuple(chain.from_iterable(SUBJECTS.values()))

WITHOUT_NODES: Final[tuple[str, ...]] = tuple(_FILE["without"]["nodes"])
"""Names of tests that pass on an API server alone."""
