# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""systemd-stub: what each release measures, and what it hands to the kernel.

After systemd-stub(7) and the sources of the releases. Predictions for 252, 254 and 257 were compared with real boots.
From 258 on the stub starts the kernel by itself and the firmware no longer measures it: those releases are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from attestation.errors import PredictionError

MAGIC_SECTION: Final = ".sdmagic"
MAX_MAGIC: Final = 512  # bytes of that section that are read

# What can be measured, in the order in which it is, and the first release that does.
_MEASURED: Final = (
    (".linux", 252),
    (".osrel", 252),
    (".cmdline", 252),
    (".initrd", 252),
    (".ucode", 256),
    (".splash", 252),
    (".dtb", 252),
    (".uname", 254),
    (".sbat", 254),
    (".pcrpkey", 252),
    (".hwids", 257),
)

# What becomes a file in `/.extra` of the initrd, in the order of appending, and the first release that does so.
_EXTRA_FILES: Final = (
    (".pcrsig", "tpm2-pcr-signature.json", 252),
    (".pcrpkey", "tpm2-pcr-public-key.pem", 252),
    (".osrel", "os-release", 257),
)

_MAGIC: Final = re.compile(rb"#### LoaderInfo: systemd-stub (v?([0-9]{1,6})([!-~]*)) ####")
_PRE_RELEASE: Final = re.compile(rb"[~-](?:rc|devel)")


class StubRelease(IntEnum):
    """The releases whose behaviour is known."""

    V252 = 252
    V253 = 253
    V254 = 254
    V255 = 255
    V256 = 256
    V257 = 257

    @property
    def measured(self) -> tuple[str, ...]:
        """Sections that are measured into register 11, in order."""
        return tuple(section for section, since in _MEASURED if self >= since)

    @property
    def initrds(self) -> tuple[str, ...]:
        """Sections that are handed to the kernel as they are, in order."""
        return (".ucode", ".initrd") if self >= StubRelease.V256 else (".initrd",)

    @property
    def extra_files(self) -> dict[str, str]:
        """Sections that follow as files in `/.extra`, in order, with the names of these."""
        return {section: file for section, file, since in _EXTRA_FILES if self >= since}


@dataclass(frozen=True, slots=True)
class Stub:
    """The stub of an image.

    Attributes:
        version: as its builder wrote it, "252.39-1~deb12u1".
        release: what it behaves like.
    """

    version: str
    release: StubRelease


def identify_stub(magic: memoryview) -> Stub:
    """Read the version out of the section `.sdmagic`.

    Raises:
        PredictionError: it names none, or one whose behaviour is not known.
    """
    found = _MAGIC.search(bytes(magic[:MAX_MAGIC]))
    if found is None:
        raise PredictionError(f"section {MAGIC_SECTION} does not name a version of systemd-stub")
    version, number, rest = found[1].decode("ascii"), int(found[2]), found[3]
    release = next((release for release in StubRelease if release == number), None)
    if release is None or _PRE_RELEASE.match(rest):
        raise PredictionError(
            f"the image starts with systemd-stub {version}, and what that measures is not known",
            hint=f"build the image with a release of systemd from {min(StubRelease)} to {max(StubRelease)}",
        )
    return Stub(version, release)
