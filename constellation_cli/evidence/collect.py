# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""x."""

from typing import Final

EXAMPLES: Final = ()


def collect_evidence() -> None:
    """X."""
