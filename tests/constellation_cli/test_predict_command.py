# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation image predict` and what can be done with its output."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from attestation.measured_boot.predict import predict
from attestation.testing.uki import FakeUki

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result


@pytest.fixture
def uki(tmp_path: Path) -> Path:
    """An image whose measurements can be predicted."""
    path = tmp_path / "node.efi"
    path.write_bytes(FakeUki().build())
    return path


def test_a_table_shows_every_register(constellation: Callable[..., Result], uki: Path) -> None:
    result = constellation("image", "predict", uki)
    assert result.exit_code == 0
    for index, value in predict(uki.read_bytes()).registers.items():
        assert f"\n{index:<8}  {value.hex()}\n" in result.stdout


def test_json_is_the_record_of_the_prediction(constellation: Callable[..., Result], uki: Path) -> None:
    result = constellation("image", "predict", "-o", "json", "--phases", "enter-initrd", "--secure-boot", uki)
    expected = predict(uki.read_bytes(), phases="enter-initrd", secure_boot=True)
    assert json.loads(result.stdout) == expected.to_mapping()


def test_the_output_is_recognised(constellation: Callable[..., Result], uki: Path) -> None:
    predicted = constellation("image", "predict", "-o", "json", uki).stdout
    result = constellation("evidence", "inspect", "-o", "json", "-", stdin=predicted.encode())
    assert json.loads(result.stdout)["files"][0]["kind"] == "measurements"


def test_the_output_goes_into_a_policy(
    constellation: Callable[..., Result], uki: Path, policy_file: Callable[..., Path]
) -> None:
    predicted = json.loads(constellation("image", "predict", "-o", "json", uki).stdout)
    policy = policy_file(variant="qemu-vtpm", measurements=predicted["measurements"])
    assert constellation("policy", "check", policy).exit_code == 0


@pytest.mark.parametrize(
    "data, reason",
    [
        (FakeUki(stub_version="258").build(), "systemd-stub 258"),
        (b"MZ" + bytes(100), ""),
        (b"", ""),
    ],
    ids=["unknown stub", "no executable", "empty"],
)
def test_an_image_that_cannot_be_predicted(
    constellation: Callable[..., Result], tmp_path: Path, data: bytes, reason: str
) -> None:
    (tmp_path / "bad.efi").write_bytes(data)
    result = constellation("image", "predict", tmp_path / "bad.efi")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: ")
    assert reason in result.stderr


def test_an_image_that_is_not_there(constellation: Callable[..., Result]) -> None:
    result = constellation("image", "predict", "/nowhere/node.efi")
    assert result.exit_code == 1
    assert "error: /nowhere/node.efi cannot be read" in result.stderr
