# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The archives of systemd-stub: every reader of the format finds the file."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from attestation.measured_boot.cpio import extra_archive, padding


@pytest.mark.parametrize("size, zeros", [(0, 0), (1, 3), (2, 2), (3, 1), (4, 0), (5, 3)])
def test_padding_goes_to_the_next_multiple_of_four(size: int, zeros: int) -> None:
    assert padding(size) == bytes(zeros)


@pytest.mark.parametrize("size", range(5))
def test_an_archive_has_directory_file_and_end(size: int) -> None:
    archive = extra_archive("os-release", b"x" * size)
    directory, file, trailer = archive[:120], archive[120:-124], archive[-124:]
    assert directory.startswith(b"070701000000010000416d")
    assert directory.endswith(b".extra\0\0\0\0")
    assert file.startswith(b"0707010000000200008124")
    assert b".extra/os-release\0" in file
    assert trailer.startswith(b"0707010000000000000000")
    assert trailer.endswith(b"TRAILER!!!\0\0\0\0")


@pytest.mark.skipif(shutil.which("cpio") is None, reason="cpio is not installed")
def test_cpio_unpacks_it() -> None:
    command = ["cpio", "--extract", "--to-stdout", "--quiet", ".extra/os-release"]
    unpacked = subprocess.run(command, input=extra_archive("os-release", b"ID=x\n"), check=True, capture_output=True)
    assert unpacked.stdout == b"ID=x\n"
