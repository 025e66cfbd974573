# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Unified kernel images for tests: around a made-up stub of any version, or around a real one.

    FakeUki().build()  # sound
    FakeUki(stub_version="258").build()  # a stub that nobody knows
    FakeUki(sections={**PARTS, ".profile": b"TITLE=x"}).build()  # one of several profiles

These do not run. What `add_sections` makes of a real stub and a real kernel boots.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from attestation.measured_boot.pe import X86_64, parse_executable

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE_ALIGNMENT: Final = 512
SECTION_ALIGNMENT: Final = 4096

_PE_HEADER: Final = 0x80
_OPTIONAL_HEADER: Final = _PE_HEADER + 24
_SECTION_TABLE: Final = _OPTIONAL_HEADER + 240
_HEADERS_SIZE: Final = 4096
_SECTION: Final = struct.Struct("<8s4I16s")
_DATA_READABLE: Final = struct.pack("<12xI", 0x4000_0040)


def build_executable(
    sections: Mapping[str, bytes], *, machine: int = X86_64, major_image_version: int = 1, tail: bytes = b""
) -> bytes:
    """Make a PE32+ file that is sound and does nothing.

    Args:
        sections: contents by name.
        machine: the processor it says to be for.
        major_image_version: from 1 on Linux says so that it takes its initrd from the firmware.
        tail: bytes after the last section.
    """
    image = bytearray(_HEADERS_SIZE)
    image[:2] = b"MZ"
    struct.pack_into("<I", image, 0x3C, _PE_HEADER)
    struct.pack_into("<4sH14xH", image, _PE_HEADER, b"PE\0\0", machine, _SECTION_TABLE - _OPTIONAL_HEADER)
    struct.pack_into("<H", image, _OPTIONAL_HEADER, 0x20B)
    struct.pack_into("<II4xH", image, _OPTIONAL_HEADER + 32, SECTION_ALIGNMENT, FILE_ALIGNMENT, major_image_version)
    struct.pack_into("<II", image, _OPTIONAL_HEADER + 56, _HEADERS_SIZE, _HEADERS_SIZE)
    struct.pack_into("<I", image, _OPTIONAL_HEADER + 108, 16)
    return add_sections(bytes(image), sections) + tail


def add_sections(executable: bytes, sections: Mapping[str, bytes]) -> bytes:
    """Add sections to an executable as ukify(1) does: aligned, in order, after what is there.

    Symbols behind the last section are dropped.

    Raises:
        ValueError: the headers have no room for so many sections.
    """
    parsed = parse_executable(executable)
    (pe_header,) = struct.unpack_from("<I", executable, 0x3C)
    optional_header = pe_header + 24
    count = len(parsed.sections)
    table = optional_header + struct.unpack_from("<H", executable, pe_header + 20)[0]
    if table + _SECTION.size * (count + len(sections)) > parsed.header.headers_size:
        message = f"no room for {len(sections)} more sections"
        raise ValueError(message)
    end = max((section.raw_offset + section.raw_size for section in parsed.sections), default=len(executable))
    address = max((one.virtual_address + one.virtual_size for one in parsed.sections), default=parsed.header.image_size)
    image = bytearray(executable[:end])
    for index, (name, content) in enumerate(sections.items(), start=count):
        _pad(image, FILE_ALIGNMENT)
        address = _align(address, SECTION_ALIGNMENT)
        row = (name.encode("latin-1"), len(content), address, _align(len(content), FILE_ALIGNMENT), len(image))
        _SECTION.pack_into(image, table + _SECTION.size * index, *row, _DATA_READABLE)
        image += content
        address += len(content)
    _pad(image, FILE_ALIGNMENT)
    struct.pack_into("<HIII", image, pe_header + 6, count + len(sections), 0, 0, 0)
    struct.pack_into("<I", image, optional_header + 56, _align(address, SECTION_ALIGNMENT))
    return bytes(image)


def add_certificates(executable: bytes, certificates: bytes) -> bytes:
    """Append what a signing tool appends; the bytes need not be a signature."""
    image = bytearray(executable)
    _pad(image, 8)
    (pe_header,) = struct.unpack_from("<I", image, 0x3C)
    struct.pack_into("<II", image, pe_header + 24 + 144, len(image), len(certificates))
    return bytes(image + certificates)


def _align(size: int, alignment: int) -> int:
    return -(-size // alignment) * alignment


def _pad(image: bytearray, alignment: int) -> None:
    image += bytes(-len(image) % alignment)


def stub_magic(version: str) -> bytes:
    """Give the text by which systemd-stub names itself."""
    return f"#### LoaderInfo: systemd-stub {version} ####\0".encode()


KERNEL: Final = build_executable({".text": b"a kernel that does not run"})

PARTS: Final[Mapping[str, bytes]] = MappingProxyType(
    {
        ".osrel": b'ID=fake\nVERSION_ID="1"\n',
        ".cmdline": b"console=ttyS0 panic=-1\n",
        ".uname": b"6.12.0-fake",
        ".initrd": b"an initrd that does not run",
        ".linux": KERNEL,
    }
)


@dataclass
class FakeUki:
    """A unified kernel image; change one thing and build it.

    Attributes:
        stub_version: what the stub says to be.
        sections: what is put behind the stub's own sections, in this order.
        machine: the processor it says to be for.
        tail: bytes after the last section.
    """

    stub_version: str = "257.13-1~deb13u1"
    sections: Mapping[str, bytes] = field(default_factory=lambda: dict(PARTS))
    machine: int = X86_64
    tail: bytes = b""

    def build(self) -> bytes:
        """Give the file."""
        stub = {".text": b"\xc3", ".sdmagic": stub_magic(self.stub_version), ".sbat": b"sbat,1,fake\n"}
        return build_executable({**stub, **self.sections}, machine=self.machine, tail=self.tail)
