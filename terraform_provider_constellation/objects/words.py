# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Validators of what users write about attestation; each gives None, or what was expected."""

from __future__ import annotations

import json

from terraform_provider_constellation.plugin.api import Matches

hexadecimal_bytes = Matches("([0-9a-fA-F]{2})+", "hexadecimal digits")
cluster_id_text = Matches("[0-9a-f]{64}", "64 digits 0-9, a-f")


def variant_name(name: str) -> str | None:
    """Judge the name of a platform."""
    from attestation.variant import Variant  # noqa: PLC0415 - only whoever names one pays for it

    names = [variant.value for variant in Variant]
    return None if name in names else f"one of {', '.join(names)}"


def json_object(text: str) -> str | None:
    """Judge a JSON object."""
    try:
        return None if isinstance(json.loads(text), dict) else "a JSON object"
    except ValueError:
        return "a JSON object"
