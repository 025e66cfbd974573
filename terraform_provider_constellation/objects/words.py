# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Validators of what users write about attestation; each gives None, or what was expected."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from constellation_core.rules import hexadecimal
from terraform_provider_constellation.plugin.api import Matches

if TYPE_CHECKING:
    from collections.abc import Mapping

_REGISTER: Final = re.compile(r"[0-9]|1[0-9]|2[0-3]|mrtd|rtmr[0-3]")
_COMPONENTS: Final = ("bootloader", "tee", "snp", "microcode", "fmc", "module", "module_major", "pce", "qe")
_MAX_VERSION: Final = 65535

cluster_id_text = hexadecimal(32)
register_value = Matches("[0-9a-fA-F]{64}|[0-9a-fA-F]{96}", "64 or 96 hexadecimal digits")
launch_digest_text = Matches("[0-9a-fA-F]{96}", "96 hexadecimal digits")
base64_text = Matches(r"\s*[A-Za-z0-9+/]+={0,2}\s*", "base64")


def register_names(registers: Mapping[str, object]) -> str | None:
    """Judge names of registers."""
    return None if all(map(_REGISTER.fullmatch, registers)) else "registers 0 to 23, mrtd, rtmr0 to rtmr3"


def launch_digests(texts: list[str]) -> str | None:
    """Judge launch digests."""
    return next(filter(None, map(launch_digest_text, texts)), None)


def tcb_versions(versions: Mapping[str, int]) -> str | None:
    """Judge security versions of components."""
    if all(name in _COMPONENTS and 0 <= version <= _MAX_VERSION for name, version in versions.items()):
        return None
    return f"versions from 0 to {_MAX_VERSION} of {', '.join(_COMPONENTS)}"


def public_key_pem(text: str) -> str | None:
    """Judge a public key, as far as that can be seen."""
    return None if "-----BEGIN PUBLIC KEY-----" in text else "a public key of ECDSA P-256 in PEM"


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
