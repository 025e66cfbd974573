# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Unified kernel images: an executable made of systemd-stub, a kernel, its command line and its initrd.

After the UAPI specification "Unified Kernel Image" (UKI). What depends on more than the file is refused here: profiles
are chosen at boot, device trees by the hardware, ambiguous section names by the release of the stub.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from attestation.errors import PredictionError
from attestation.measured_boot.pe import Executable, parse_executable
from attestation.measured_boot.stub import MAGIC_SECTION, Stub, StubRelease, identify_stub

if TYPE_CHECKING:
    from collections.abc import Mapping
    from mmap import mmap

MAX_COMMAND_LINE: Final = 2048  # bytes with the end mark: Linux on x86 cuts the rest off

# Every name that some release gives a meaning to.
_KNOWN: Final = frozenset({*max(StubRelease).measured, *max(StubRelease).extra_files})

_CHOSEN_AT_BOOT: Final = {
    ".profile": "several profiles, and which one runs is chosen at boot",
    ".dtbauto": "device trees, and which one is used depends on the hardware",
}


@dataclass(frozen=True, slots=True)
class UnifiedKernelImage:
    """A unified kernel image of which a prediction is possible.

    Attributes:
        executable: the file.
        stub: what starts.
        sections: contents of the sections that mean something to some stub, as they are in memory.
        kernel: the kernel, an executable itself.
        command_line: as the kernel gets it; None where the image brings none.
    """

    executable: Executable
    stub: Stub
    sections: Mapping[str, memoryview]
    kernel: Executable
    command_line: str | None


def parse_uki(data: bytes | bytearray | memoryview | mmap) -> UnifiedKernelImage:
    """Read a unified kernel image without copying its parts.

    Raises:
        MalformedError: the file or its kernel is no sound executable.
        PredictionError: no such image, an unknown stub, or measurements that depend on more than the file.
    """
    executable = parse_executable(data)
    _check_names(Counter(section.name for section in executable.sections))
    found = {section.name: section for section in executable.sections if section.virtual_size}
    if missing := {MAGIC_SECTION, ".linux"} - found.keys():
        raise PredictionError(
            f"the executable has no section {' and no section '.join(sorted(missing))}",
            hint="name a unified kernel image that starts with systemd-stub",
        )
    stub = identify_stub(executable.loaded(found[MAGIC_SECTION]))
    sections = {name: executable.loaded(section) for name, section in found.items() if name in _KNOWN}
    command_line = _decode_command_line(sections[".cmdline"]) if ".cmdline" in sections else None
    return UnifiedKernelImage(executable, stub, sections, _parse_kernel(sections[".linux"]), command_line)


def _check_names(names: Counter[str]) -> None:
    for name, times in names.items():
        if reason := _CHOSEN_AT_BOOT.get(name):
            raise PredictionError(f"the image has {reason} ({name})", hint="build an image without this section")
        if name in {*_KNOWN, MAGIC_SECTION} and times > 1:
            raise PredictionError(f"the image has {times} sections {name}; stubs differ in which one they measure")
        if name not in _KNOWN and name.startswith(tuple(_KNOWN)):
            raise PredictionError(f"the image has a section {name!r}; some stubs take it for one with a shorter name")


def _parse_kernel(data: memoryview) -> Executable:
    kernel = parse_executable(data)
    if kernel.header.major_image_version < 1:
        raise PredictionError(
            "the kernel is older than Linux 5.8, whose start is measured in another way",
            hint="build the image with a newer kernel",
        )
    return kernel


def _decode_command_line(section: memoryview) -> str:
    """Give it as every stub hands it over: up to a NUL, controls as spaces, no white space at the end."""
    if len(section) > MAX_COMMAND_LINE:
        raise PredictionError(f"the command line has {len(section)} bytes, Linux keeps {MAX_COMMAND_LINE}")
    raw = bytes(section).partition(b"\0")[0]
    text = "".join(chr(max(code, 0x20)) for code in raw).rstrip(" ")
    if text.startswith(" ") or "\x7f" in text or not text.isascii():
        raise PredictionError(
            "the command line begins with white space, or is not ASCII; stubs differ in what they make of it",
            hint="build the image with a plain command line",
        )
    return text
