# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Measurements as plain data, wherever they come from: taken out of a document, and put together.

    registers = merged(registers_of(manifest), registers_of({"0": {"expected": "…", "enforced": False}}))
    policy = {"variant": "qemu-vtpm", "measurements": shown(registers)}

A register has a name (`0` to `23`, `mrtd`, `rtmr0` to `rtmr3`), an expected value of 32 or 48 bytes, and is enforced or
only compared.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from attestation.policy_fields import Register
from constellation_core import rules
from constellation_core.errors import ConfigError

_VALUE: Final = re.compile(r"[0-9a-fA-F]{64}|[0-9a-fA-F]{96}")


def registers_of(source: object) -> dict[str, Register]:
    """Take the registers out of a document.

    Args:
        source: what has `measurements` (a policy, the `measurements.json` of an image, a verdict), or these themselves.
            A register is `{expected, enforced}` as in policies, `{expected, warn_only}` as in Terraform, or a value in
            hexadecimal as in verdicts, which counts as enforced.

    Raises:
        ConfigError: there are none, or one is wrong; says which.
    """
    found = source.get("measurements", source) if isinstance(source, Mapping) else source
    if not isinstance(found, Mapping) or not found:
        raise ConfigError(
            f"measurements: expected registers by name, or what has them, got {type(found).__name__}",
            hint="a policy, measurements.json, and a verdict have them",
        )
    return {str(name): _register(str(name), entry) for name, entry in found.items() if name != "launch_digest"}


def merged(*sources: Mapping[str, Register]) -> dict[str, Register]:
    """Put registers together. Nothing is replaced, and a register is enforced if one of the sources enforces it.

    Raises:
        ConfigError: two sources expect different values of one register.
    """
    together: dict[str, Register] = {}
    for source in sources:
        for name, one in source.items():
            known = together.get(name, one)
            if known.expected != one.expected:
                raise ConfigError(
                    f"register {name} is expected to be {known.expected.hex()} and {one.expected.hex()}",
                    hint="no machine is both: leave one of them out, or write a policy for each",
                )
            together[name] = Register(one.expected, enforced=known.enforced or one.enforced)
    return together


def shown(registers: Mapping[str, Register]) -> dict[str, dict[str, Any]]:
    """Give plain data, as a policy has it."""
    return {name: {"expected": one.expected.hex(), "enforced": one.enforced} for name, one in registers.items()}


def _register(name: str, entry: object) -> Register:
    if rules.register_names([name]):
        raise ConfigError(f"measurements: expected registers 0 to 23, mrtd or rtmr0 to rtmr3, got {name!r:.40}")
    value = entry.get("expected") if isinstance(entry, Mapping) else entry
    if not isinstance(value, str) or not _VALUE.fullmatch(value):
        got = f"{len(value)} characters" if isinstance(value, str) else type(value).__name__
        raise ConfigError(f"register {name}: expected 64 or 96 hexadecimal digits, got {got}")
    return Register(bytes.fromhex(value), enforced=_enforced(name, entry))


def _enforced(name: str, entry: object) -> bool:
    if not isinstance(entry, Mapping):
        return True
    said = {"enforced": entry.get("enforced"), "warn_only": entry.get("warn_only")}
    given = {word: value for word, value in said.items() if value is not None}
    if len(given) > 1 or not all(isinstance(value, bool) for value in given.values()):
        raise ConfigError(f"register {name}: expected enforced or warn_only, true or false, got {given!r:.60}")
    return not given["warn_only"] if "warn_only" in given else given.get("enforced", True)
