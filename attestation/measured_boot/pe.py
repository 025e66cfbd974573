# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""PE32+ executables for x86-64: headers, sections, and the digest under which firmware measures them.

After Microsoft's "PE Format" and "Windows Authenticode Portable Executable Signature Format" 1.0, read as EDK II reads
them. Bytes that break the format are a `MalformedError`; a sound file of which nothing can be predicted, for another
processor say, is a `PredictionError`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from attestation.errors import MalformedError, PredictionError
from attestation.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Iterable
    from mmap import mmap

X86_64: Final = 0x8664  # IMAGE_FILE_MACHINE_AMD64
MAX_SIZE: Final = 0xFFFF_FFFF  # bytes: offsets have 32 bits
MAX_HEADERS: Final = 64 * 1024  # bytes at the front in which all headers must lie
MAX_SECTIONS: Final = 512
MAX_ZERO_FILL: Final = 1024 * 1024  # bytes by which a section may be longer in memory than in the file

_PE_OFFSET: Final = 0x3C
_PE32_PLUS: Final = 0x20B
_CERTIFICATES: Final = 4  # index among the data directories


class Section(NamedTuple):
    """One row of the section table.

    Attributes:
        name: up to eight characters.
        virtual_size: bytes in memory.
        virtual_address: where in memory, from the start of the image.
        raw_size: bytes in the file; alignment makes it longer than `virtual_size`.
        raw_offset: where in the file.
    """

    name: str
    virtual_size: int
    virtual_address: int
    raw_size: int
    raw_offset: int


class OptionalHeader(NamedTuple):
    """What we need of the header that executables have and object files do not.

    Attributes:
        major_image_version: free for the linker; Linux numbers its EFI stub here.
        image_size: bytes in memory.
        headers_size: bytes at the front of the file that belong to no section.
        checksum_offset: where the four bytes of CheckSum are.
        certificate_entry: where the eight bytes are that point to the certificates; None without such an entry.
        certificates_offset: where in the file the signatures are.
        certificates_size: their bytes; 0 if the file is not signed.
    """

    major_image_version: int
    image_size: int
    headers_size: int
    checksum_offset: int
    certificate_entry: int | None
    certificates_offset: int
    certificates_size: int


@dataclass(frozen=True, slots=True)
class Executable:
    """A file whose headers were read and are sound. Its bytes stay where they are.

    Attributes:
        data: the whole file.
        header: the optional header.
        sections: in the order of the table.
    """

    data: memoryview
    header: OptionalHeader
    sections: tuple[Section, ...]

    def loaded(self, section: Section) -> memoryview:
        """Give a section as it is in memory: cut to its virtual size, or filled up with zeros.

        Raises:
            PredictionError: the zeros alone would be more than 1 MiB.
        """
        size = min(section.virtual_size, section.raw_size)
        content = self.data[section.raw_offset : section.raw_offset + size]
        zeros = section.virtual_size - size
        if zeros > MAX_ZERO_FILL:
            raise PredictionError(f"section {section.name!r} ends in {zeros} zeros that are not in the file")
        return memoryview(bytes(content) + bytes(zeros)) if zeros else content

    def authenticode(self) -> bytes:
        """Hash the file as firmware does before starting it, with SHA-256.

        CheckSum, the pointer to the certificates and these themselves are left out, so that signing changes nothing.
        Tools that sign pad a file to a multiple of eight bytes and hash the padding; firmware hashes what is there.
        """
        data, header, hashed = self.data, self.header, hashlib.sha256()
        hashed.update(data[: header.checksum_offset])
        start = header.checksum_offset + 4
        if header.certificate_entry is not None:
            hashed.update(data[start : header.certificate_entry])
            start = header.certificate_entry + 8
        hashed.update(data[start : header.headers_size])
        total = header.headers_size
        for section in _in_file(self.sections):
            hashed.update(data[section.raw_offset : section.raw_offset + section.raw_size])
            total += section.raw_size
        # What follows starts after as many bytes as were counted, which is elsewhere if sections have gaps.
        hashed.update(data[total : len(data) - header.certificates_size])
        return hashed.digest()


def parse_executable(data: bytes | bytearray | memoryview | mmap) -> Executable:
    """Read the headers of a PE32+ file; nothing but them is copied.

    Raises:
        MalformedError: no PE32+, truncated, or parts that overlap or lie outside.
        PredictionError: it is for another processor than x86-64.
    """
    view = memoryview(data)
    if len(view) > MAX_SIZE:
        raise MalformedError(f"PE executable has {len(view)} bytes, at most {MAX_SIZE} are read")
    reader = Reader(bytes(view[:MAX_HEADERS]), "PE executable", "little")
    count, section_table = _read_file_header(reader)
    header = _read_optional_header(reader)
    reader.offset = section_table
    sections = tuple(_read_section(reader) for _ in range(count))
    if not reader.offset <= header.headers_size <= len(view):
        reader.fail(f"headers end at offset {header.headers_size}, outside the file or inside the section table")
    _check_file(header, sections, len(view))
    _check_memory(header, sections)
    return Executable(view, header, sections)


def _read_file_header(reader: Reader) -> tuple[int, int]:
    """Give the number of sections and where their table is; leave the reader at the optional header."""
    if (magic := reader.take(2, "magic")) != b"MZ":
        raise MalformedError(
            f"the file begins with {magic!r}, a PE executable with b'MZ'", hint="name a unified kernel image (.efi)"
        )
    reader.offset = _PE_OFFSET
    reader.offset = reader.u32("offset of the PE header")
    reader.expect(b"PE\0\0", reader.take(4, "signature"), "signature")
    machine = reader.u16("machine")
    if machine != X86_64:
        raise PredictionError(
            f"executable is for machine {machine:#06x}, only x86-64 ({X86_64:#06x}) can be predicted",
            hint="name an image that was built for the nodes",
        )
    count = reader.u16("number of sections")
    if count > MAX_SECTIONS:
        reader.fail(f"{count} sections, at most {MAX_SECTIONS} are read")
    reader.take(12, "time and symbol table")
    optional_size = reader.u16("size of the optional header")
    reader.take(2, "characteristics")
    return count, reader.offset + optional_size


def _read_optional_header(reader: Reader) -> OptionalHeader:
    reader.expect(_PE32_PLUS, reader.u16("magic of the optional header"), "magic of the optional header")
    reader.take(42, "sizes, entry point, base, alignments, version of the system")
    major_image_version = reader.u16("major image version")
    reader.take(10, "minor image version, version of the subsystem")
    image_size = reader.u32("size of the image")
    headers_size = reader.u32("size of the headers")
    checksum_offset = reader.offset
    reader.take(44, "checksum, subsystem, stack, heap")
    directories = reader.u32("number of data directories")
    entry, offset, size = None, 0, 0
    if directories > _CERTIFICATES:
        reader.take(8 * _CERTIFICATES, "data directories")
        entry = reader.offset
        offset, size = reader.u32("offset of the certificates"), reader.u32("size of the certificates")
    return OptionalHeader(major_image_version, image_size, headers_size, checksum_offset, entry, offset, size)


def _read_section(reader: Reader) -> Section:
    name = reader.take(8, "name of a section").partition(b"\0")[0].decode("latin-1")
    section = Section(name, *(reader.u32(f"section {name!r}") for _ in range(4)))
    reader.take(16, f"section {name!r}")
    return section


def _in_file(sections: Iterable[Section]) -> list[Section]:
    """Sections that have bytes in the file, in the order of these."""
    return sorted((section for section in sections if section.raw_size), key=lambda section: section.raw_offset)


def _check_file(header: OptionalHeader, sections: Iterable[Section], size: int) -> None:
    """Refuse what overlaps in the file: parsers would not agree on what was measured."""
    end = header.headers_size
    for section in _in_file(sections):
        if section.raw_offset < end:
            raise MalformedError(f"PE executable: section {section.name!r} overlaps what is before it in the file")
        end = section.raw_offset + section.raw_size
    if end + header.certificates_size > size:
        raise MalformedError(
            f"PE executable is truncated: it needs {end + header.certificates_size} bytes, it has {size}",
            hint="is the file complete?",
        )
    if header.certificates_size and header.certificates_offset + header.certificates_size != size:
        raise MalformedError("PE executable: the certificates are not at the end of the file")


def _check_memory(header: OptionalHeader, sections: Iterable[Section]) -> None:
    """Refuse what overlaps in memory: what is measured there would depend on the order of loading."""
    end = 0
    for section in sorted(sections, key=lambda section: section.virtual_address):
        if section.virtual_size and section.virtual_address < end:
            raise MalformedError(f"PE executable: section {section.name!r} overlaps what is before it in memory")
        end = max(end, section.virtual_address + section.virtual_size)
    if end > header.image_size:
        raise MalformedError(f"PE executable: sections end at {end:#x}, the image at {header.image_size:#x}")
