# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`provider::constellation::measurements_merge`: registers of several sources, none of which says otherwise."""

from __future__ import annotations

from typing import Annotated

from terraform_provider_constellation.objects.attestation import Measurement
from terraform_provider_constellation.objects.words import register_names, register_value
from terraform_provider_constellation.plugin.api import ArgumentError, function


@function
def measurements_merge(
    measurements: Annotated[dict[str, Measurement], "Registers by name."],
    *more: Annotated[dict[str, Measurement], "Registers by name, of the image's firmware for example."],
) -> dict[str, Measurement]:
    """Put measurements of several sources together.

    Unlike `merge`, it replaces nothing: two sources that expect different values of the same register are an error. A
    register is enforced if one of the sources enforces it.
    """
    merged: dict[str, Measurement] = {}
    for index, source in enumerate((measurements, *more)):
        argument = "more" if index else "measurements"
        for name, one in source.items():
            _check(argument, name, one)
            merged[name] = _both(argument, name, merged.get(name), one)
    return merged


def _check(argument: str, name: str, one: Measurement | None) -> None:
    if register_names([name]):
        raise ArgumentError(argument, f'Expected registers 0 to 23, mrtd or rtmr0 to rtmr3, got "{name:.40}".')
    value = one.expected if one is not None else ""
    if register_value(value or ""):  # null is possible, whatever the annotation says
        got = f"{len(value)} characters" if value else "nothing"
        raise ArgumentError(argument, f'Register "{name}": expected 64 or 96 hexadecimal digits, got {got}.')


def _both(argument: str, name: str, known: Measurement | None, one: Measurement) -> Measurement:
    expected = one.expected.lower()
    if known is not None and known.expected != expected:
        raise ArgumentError(
            argument, f'Register "{name}" is expected to be {known.expected} and {expected}: no machine is both.'
        )
    return Measurement(expected=expected, warn_only=bool(one.warn_only and (known is None or known.warn_only)))
