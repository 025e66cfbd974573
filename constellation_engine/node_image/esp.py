# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Put the signed measurements into the ESP of a disk, where the node finds them: it shows them to other nodes.

mtools write into the file system where it lies; nothing is mounted.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from constellation_engine.errors import MissingProgramError, NodeImageError
from constellation_engine.node_image.disk import MEASUREMENTS_PATH, open_disk
from constellation_engine.node_image.gpt import PartitionType
from constellation_engine.node_image.image_folder import ImageFile

if TYPE_CHECKING:
    from constellation_engine.node_image.image_folder import ImageFolder

_FAT_EPOCH: Final = "315532800"  # 1980: FAT knows no earlier time
_TIMEOUT: Final = 60.0  # seconds for two small files


def put_into_esp(folder: ImageFolder, *, replace: bool = False) -> None:
    """Copy measurements and signature of an image into the ESP of its disk. The same files make the same bytes.

    Args:
        folder: the image.
        replace: those that are there, if there are some.

    Raises:
        NodeImageError: one of the files is not there, or mtools cannot write.
        MissingProgramError: mtools are not installed.
        MalformedError: the disk has no ESP.
    """
    place = folder.require(ImageFile.DISK)
    disk = open_disk(place)
    volume = f"{place}@@{disk.row(PartitionType.ESP).offset}"
    target = f"::/{PurePosixPath(MEASUREMENTS_PATH).parent}"
    files = [str(folder.require(file)) for file in (ImageFile.MEASUREMENTS, ImageFile.SIGNATURE)]
    if not (replace and disk.esp().has(MEASUREMENTS_PATH)):
        _run("mmd", "-i", volume, target)
    _run("mcopy", *(["-o"] if replace else []), "-i", volume, *files, f"{target}/")


def _run(*command: str) -> None:
    environment = {**os.environ, "SOURCE_DATE_EPOCH": _FAT_EPOCH, "TZ": "UTC", "MTOOLS_SKIP_CHECK": "1"}
    try:
        subprocess.run(  # noqa: S603 - mtools
            command,
            env=environment,
            check=True,
            stdin=subprocess.DEVNULL,  # mtools ask what to do with a name that is taken
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
        )
    except FileNotFoundError:
        raise MissingProgramError(f"there is no {command[0]} on this machine", hint="apt-get install mtools") from None
    except subprocess.CalledProcessError as error:
        raise NodeImageError(f"{command[0]} failed: {error.stderr.strip()}") from None
    except subprocess.TimeoutExpired:
        raise NodeImageError(f"{command[0]} did not end in {_TIMEOUT:g} s", hint="is the disk slow, or full?") from None
