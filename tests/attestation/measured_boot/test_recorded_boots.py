# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Recorded boots of real images: what the parts predict is what the log of the boot holds."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from attestation.measured_boot.predict import Extension, Prediction, predict
from attestation.testing.uki import PARTS, FakeUki

if TYPE_CHECKING:
    from pathlib import Path

EV_NO_ACTION = 3
DIGEST = 32

pytestmark = pytest.mark.parametrize("release", [252, 257])


def read_log(data: bytes) -> list[Extension]:
    """Read a crypto-agile log that has one bank, SHA-256."""
    (size,) = struct.unpack_from("<I", data, 28)
    offset, extensions = 32 + size, []
    while offset < len(data):
        register, kind, banks, _ = struct.unpack_from("<IIIH", data, offset)
        assert banks == 1
        digest = data[offset + 14 : offset + 14 + DIGEST]
        (size,) = struct.unpack_from("<I", data, offset + 14 + DIGEST)
        offset += 18 + DIGEST + size
        if kind != EV_NO_ACTION:
            extensions.append(Extension(register, "", digest))
    return extensions


@pytest.fixture
def log(vectors: Path, release: int) -> list[Extension]:
    """Extensions of one boot, in order."""
    return read_log((vectors / "derived" / "qemu_ovmf_uki" / f"eventlog_stub{release}.bin").read_bytes())


@pytest.fixture
def facts(vectors: Path, release: int) -> dict[str, Any]:
    """Registers after that boot, and what is known of its image."""
    record: dict[str, Any] = json.loads(
        (vectors / "derived" / "qemu_ovmf_uki" / f"pcrs_stub{release}.json").read_text(encoding="utf-8")
    )
    return record


@pytest.fixture
def prediction(facts: dict[str, Any]) -> Prediction:
    """Prediction for an image with the parts that were recorded."""
    parts = {".osrel": facts["os_release"], ".cmdline": facts["cmdline"], ".uname": facts["kernel"]}
    sections = {**PARTS, **{name: text.encode() for name, text in parts.items()}}
    return predict(FakeUki(stub_version=str(facts["stub"]), sections=sections).build())


def test_the_log_replays_to_the_registers(log: list[Extension], facts: dict[str, Any], prediction: Prediction) -> None:
    recorded = replace(prediction, extensions=tuple(one for one in log if one.register in prediction.registers))
    replayed = {str(index): value.hex() for index, value in recorded.registers.items()}
    assert replayed.items() <= facts["pcr_sha256"].items()


def test_as_many_things_are_measured_in_the_same_order(log: list[Extension], prediction: Prediction) -> None:
    recorded = [extension.register for extension in log if extension.register in (4, 9, 11)]
    assert [extension.register for extension in prediction.extensions] == recorded


def test_what_is_known_of_the_image_is_predicted_as_recorded(log: list[Extension], prediction: Prediction) -> None:
    unknown = {"image", "kernel", "section .linux", "section .initrd", "section .sbat", "initrd"}  # were not kept
    recorded = [extension for extension in log if extension.register in (4, 9, 11)]
    for ours, theirs in zip(prediction.extensions, recorded, strict=True):
        assert ours.what in unknown or ours.digest == theirs.digest, ours.what
