# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Policies in words: every field that is not at its default."""

from __future__ import annotations

from typing import Any

from attestation.policy import Policy
from constellation_cli.mapping import parse_mapping


def describe_policy(data: bytes) -> dict[str, Any]:
    """Put a policy into words.

    Raises:
        PolicyError: it cannot be used.
    """
    return Policy.from_mapping(parse_mapping(data)).to_mapping()
