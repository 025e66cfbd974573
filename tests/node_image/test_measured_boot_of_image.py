# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A real boot of the node image measures what was predicted from the file; another image measures something else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from attestation.measured_boot.predict import predict
from attestation.measured_boot.uki import parse_uki
from constellation_engine.node_image.image_folder import ImageFile
from constellation_engine.node_image.measure import measure
from constellation_engine.node_image.verification import verify_image
from tests.node_image.built_images import console_shows, with_kernel_image, with_section

if TYPE_CHECKING:
    from pathlib import Path

    from constellation_engine.node_image.image_folder import ImageFolder
    from constellation_engine.node_image.measure import Measurement
    from tests.node_image.built_images import Boot

pytestmark = pytest.mark.timeout(2400)  # of it, the build takes most, and only once
MEMORY = 180  # MiB, when the agent runs
BOOT = 600.0  # seconds for a machine that has half of two busy cores


def quietly(image: ImageFolder) -> Measurement:
    return measure(image, report=lambda _: None, timeout=BOOT)


@pytest.fixture(scope="module")
def measurement(release_image: ImageFolder) -> Measurement:
    return quietly(release_image)


def test_every_register_is_as_predicted(measurement: Measurement) -> None:
    assert [(one.index, one.equal) for one in measurement.registers] == [
        *((index, True) for index in (4, 9, 11, 12, 13, 15)),
    ]


def test_the_boot_log_explains_every_register(measurement: Measurement) -> None:
    assert measurement.unexplained == ()
    assert measurement.events > 20


def test_the_signed_measurements_accept_the_machine(measurement: Measurement) -> None:
    assert measurement.verdict.accepted
    assert any("no hardware root" in warning for warning in measurement.verdict.warnings)


def test_the_agent_gets_along_with_little_memory(release_image: ImageFolder, boot: Boot) -> None:
    console = console_shows(boot(release_image.place(ImageFile.DISK)), "for init on port", seconds=BOOT)
    used = [int(size) for size in re.findall(r"memory +(\d+) of \d+ MiB", console)]
    assert used[0] <= MEMORY


def test_the_image_is_what_was_signed(release_image: ImageFolder) -> None:
    assert verify_image(release_image, release_image.read(ImageFile.PUBLIC_KEY)).is_accepted


@pytest.mark.slow
def test_another_command_line_is_another_register_9_and_the_verdict_says_so(
    release_image: ImageFolder, tmp_path: Path
) -> None:
    uki = release_image.read(ImageFile.UKI, limit=1 << 30)
    other = with_section(uki, ".cmdline", lambda text: text.replace(b"loglevel=4", b"loglevel=3"))
    found = quietly(with_kernel_image(release_image, tmp_path, other))
    assert all(one.equal for one in found.registers), "prediction follows the other command line"
    assert not found.verdict.accepted
    assert {mismatch.name for mismatch in found.verdict.mismatches} == {f"measurements.{n}" for n in (4, 9, 11)}


@pytest.mark.slow
def test_another_initrd_is_another_register_9(release_image: ImageFolder, tmp_path: Path) -> None:
    uki = release_image.read(ImageFile.UKI, limit=1 << 30)
    other = with_section(uki, ".initrd", lambda archive: archive + bytes(4))  # Linux skips zeros behind an archive
    found = quietly(with_kernel_image(release_image, tmp_path, other))
    assert all(one.equal for one in found.registers)
    assert predict(other).registers[9] != predict(uki).registers[9]
    assert not found.verdict.accepted


def test_a_command_line_that_was_changed_is_seen_without_a_boot(release_image: ImageFolder, tmp_path: Path) -> None:
    uki = release_image.read(ImageFile.UKI, limit=1 << 30)
    other = with_section(uki, ".cmdline", lambda text: text.replace(b"panic=10", b"panic=11"))
    verdict = verify_image(with_kernel_image(release_image, tmp_path, other), release_image.read(ImageFile.PUBLIC_KEY))
    assert not verdict.is_accepted


def test_nothing_outside_of_the_image_says_what_is_booted(release_image: ImageFolder) -> None:
    words = (parse_uki(release_image.read(ImageFile.UKI, limit=1 << 30)).command_line or "").split()
    assert {"rd.shell=0", "rd.emergency=reboot", "systemd.gpt_auto=0", "systemd.import_credentials=no"} <= set(words)
    assert any(word.startswith("roothash=") for word in words)
