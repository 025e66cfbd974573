# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Disks of a machine: an overlay (qcow2) over an image that is only read, and a sparse state disk."""

from __future__ import annotations

import os
import shutil
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from constellation_engine.errors import MachineSpecError, TooLittleError
from constellation_engine.machines.programs import find_program, run

if TYPE_CHECKING:
    from pathlib import Path

STATE_DISK_SERIAL: Final = "constellation-state"
"""The guest finds it as /dev/disk/by-id/virtio-constellation-state."""

MIB: Final = 1 << 20
_QCOW2_MAGIC: Final = b"QFI\xfb"


class ImageFormat(StrEnum):
    """How a disk image is written: QEMU's name of the format."""

    RAW = "raw"
    QCOW2 = "qcow2"

    @classmethod
    def of(cls, file: Path) -> ImageFormat:
        """Tell from a file's first bytes.

        Raises:
            MachineSpecError: there is no such file.
        """
        try:
            with file.open("rb") as stream:
                return cls.QCOW2 if stream.read(len(_QCOW2_MAGIC)) == _QCOW2_MAGIC else cls.RAW
        except OSError as error:
            hint = "constellation image build makes one"
            raise MachineSpecError(f"{file}: expected a disk image: {error.strerror}", hint=hint) from None


def make_overlay(image: Path, target: Path) -> None:
    """Make a disk that shows an image until somebody writes to it.

    Args:
        image: raw or qcow2; must not change as long as there is an overlay.
        target: file to make.

    Raises:
        MachineSpecError: there is no image, or it is none.
        MissingProgramError: qemu-img is not installed.
    """
    backing = ["-b", str(image.resolve()), "-F", ImageFormat.of(image)]
    run([str(find_program("qemu-img")), "create", "-q", "-f", "qcow2", *backing, str(target)])


def image_stamp(image: Path) -> str:
    """Give what changes when somebody replaces an image or writes to it.

    Raises:
        OSError: there is no image.
    """
    status = image.stat()
    return f"{status.st_size} {status.st_mtime_ns}"


def check_image(image: Path, stamp: Path) -> None:
    """See that an image is still the one that an overlay was made for.

    Args:
        image: of which the machine was made.
        stamp: file with what `image_stamp` said then.

    Raises:
        MachineSpecError: it is gone, or another one.
    """
    hint = "destroy the machine and make it anew, or put the image back"
    try:
        same = image_stamp(image) == stamp.read_text(encoding="ascii")
    except OSError as error:
        raise MachineSpecError(f"{error.filename}: {error.strerror}", hint=hint) from None
    if not same:
        raise MachineSpecError(f"{image}: expected the image that the machine was made of, it was changed", hint=hint)


def make_state_disk(target: Path, size: int) -> None:
    """Make an empty disk that takes space as it fills.

    Args:
        target: file to make.
        size: MiB.

    Raises:
        TooLittleError: there is not so much space as it may take.
    """
    free = shutil.disk_usage(target.parent).free // MIB
    if free < size:
        message = f"{target.parent}: expected {size} MiB of free space for the state disk, there are {free}"
        raise TooLittleError(message, hint="choose a smaller state disk, or a folder on another disk")
    with target.open("xb") as file:
        os.truncate(file.fileno(), size * MIB)
