# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Values of options: what is wrong with one is said in a sentence that names the option."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ansible.module_utils.basic import AnsibleModule


def timeout(seconds: int) -> dict[str, Any]:
    """Give the option `timeout`, with the default of one of the fragments of `constellation.core.timeout`."""
    return {"timeout": {"type": "int", "default": seconds}}


def refuse(module: AnsibleModule, name: str, expected: str, got: object) -> NoReturn:
    """End the module: the value of an option cannot be."""
    module.fail_json(msg=f"Option {name}: expected {expected}, got {got!r:.80}.")
    raise AssertionError  # fail_json does not return, and does not say so


def require(module: AnsibleModule, rules: Mapping[str, Callable[[Any], str | None]]) -> None:
    """End the module at the first option whose value cannot be.

    Args:
        module: what was given; options that were not are not judged.
        rules: name of the option → rule as in `constellation_core.rules`.
    """
    for name, rule in rules.items():
        value = module.params[name]
        expected = None if value is None else rule(value)
        if expected:
            refuse(module, name, expected, value)


def at_least_a_second(seconds: int) -> str | None:
    """Judge how long something may take."""
    return None if seconds >= 1 else "at least one second"


def not_negative(seconds: int) -> str | None:
    """Judge how long something may take that may also be left out."""
    return None if seconds >= 0 else "no fewer than 0 seconds"
