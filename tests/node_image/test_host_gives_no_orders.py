# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A host offers units and settings to a machine, as systemd lets it (systemd.system-credentials(7)): nobody obeys."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from constellation_engine.machines import power, qemu
from constellation_engine.node_image.image_folder import ImageFile
from tests.node_image.built_images import console_shows, with_kernel_image, with_section

if TYPE_CHECKING:
    from pathlib import Path

    from constellation_engine.machines.qemu import Launch
    from constellation_engine.node_image.image_folder import ImageFolder
    from tests.node_image.built_images import Boot

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]

SAID = "the host was obeyed"
ORDER = f"w /dev/console - - - - {SAID}\n"
CREDENTIAL = "tmpfiles.extra"
"""Lines of tmpfiles.d(5): whoever gives them writes files as root, units below /run among them."""
OBEYING, REFUSING = b"systemd.import_credentials=1 ", b"systemd.import_credentials=no"


@pytest.fixture
def meddling_host(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = qemu.command_line
    order = base64.b64encode(ORDER.encode()).decode()

    def meddling(launch: Launch) -> list[str]:
        value = f"io.systemd.credential.binary:{CREDENTIAL}={order}".replace(",", ",,")
        return [*honest(launch), "-smbios", f"type=11,value={value}"]

    monkeypatch.setattr(power, "command_line", meddling)


@pytest.mark.usefixtures("meddling_host")
def test_units_that_the_host_offers_are_not_run(release_image: ImageFolder, boot: Boot) -> None:
    console = console_shows(boot(release_image.place(ImageFile.DISK)), "register 15", seconds=600)
    assert SAID not in console


@pytest.mark.usefixtures("meddling_host")
def test_an_image_that_takes_them_would_run_them(release_image: ImageFolder, tmp_path: Path, boot: Boot) -> None:
    """The attack is real: only the word on the measured command line stops it."""
    uki = release_image.read(ImageFile.UKI, limit=1 << 30)
    obeying = with_section(uki, ".cmdline", lambda text: text.replace(REFUSING, OBEYING))
    console_shows(boot(with_kernel_image(release_image, tmp_path, obeying).place(ImageFile.DISK)), SAID, seconds=600)
