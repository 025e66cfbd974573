# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation policy check` and `constellation policy schema`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from attestation.policy import json_schema

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result


def test_the_schema_is_printed(constellation: Callable[..., Result]) -> None:
    assert json.loads(constellation("policy", "schema").stdout) == json_schema()


def test_a_usable_policy_is_shown(constellation: Callable[..., Result]) -> None:
    policy = b"variant: aws-nitro-tpm\nak_names: [" + b"00" * 34 + b"]\nmeasurements:\n"
    policy += b"  4: {expected: " + b"0" * 64 + b", enforced: true}\n"
    result = constellation("policy", "check", "-", stdin=policy)
    assert result.exit_code == 0
    assert result.stdout == (
        "stdin: usable\n"
        "version                  1\n"
        "variant                  aws-nitro-tpm\n"
        f"measurements.4.expected  {'0' * 64}\n"
        "measurements.4.enforced  yes\n"
        f"ak_names                 {'00' * 34}\n"
    )


def test_what_is_shown_as_json_is_a_policy_again(constellation: Callable[..., Result]) -> None:
    shown = constellation("policy", "check", "-o", "json", "-", stdin=b"variant: insecure\n").stdout
    assert constellation("policy", "check", "-o", "json", "-", stdin=shown.encode()).stdout == shown


def test_a_policy_that_cannot_be_used_is_status_1(
    constellation: Callable[..., Result], policy_file: Callable[..., Path]
) -> None:
    result = constellation("policy", "check", policy_file(variant="qemu-snp"))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "policy for qemu-snp lacks launch_digests" in result.stderr
