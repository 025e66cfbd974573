# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Validators of what users write about attestation; each gives None, or what was expected."""

from __future__ import annotations

from constellation_core import rules
from terraform_provider_constellation.plugin.api import Matches

cluster_id_text = rules.hexadecimal(32)
register_names = rules.register_names
register_value = Matches("[0-9a-fA-F]{64}|[0-9a-fA-F]{96}", "64 or 96 hexadecimal digits")
launch_digest_text = Matches("[0-9a-fA-F]{96}", "96 hexadecimal digits")
base64_text = rules.base64
public_key_pem = rules.public_key
tcb_versions = rules.tcb_versions
variant_name = rules.attestation_variant
json_object = rules.json_object


def launch_digests(texts: list[str]) -> str | None:
    """Judge launch digests."""
    return next(filter(None, map(launch_digest_text, texts)), None)
