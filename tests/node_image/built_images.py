# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The real node image, built once, and what an attacker may make of it.

A build takes minutes: the image is kept in the user's cache, named by a hash of everything that it is built from.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from attestation.measured_boot.pe import parse_executable
from constellation_engine.components.cache import default_root
from constellation_engine.debian.mirror import machine_mirrors
from constellation_engine.node_image.build import ImageRequest, build
from constellation_engine.node_image.image_folder import ImageFile, ImageFolder
from constellation_engine.node_image.targets import Profile, Target

if TYPE_CHECKING:
    from pathlib import Path

    from constellation_engine.components.watch import Progress
    from constellation_engine.machines import Machine

Boot = Callable[..., "Machine"]

SOURCES: Final = (
    "attestation",
    "components",
    "constellation_core",
    "constellation_engine/container_images",
    "constellation_engine/node_image",
    "constellation_engine/services_image",
    "constellation_services",
    "images",
    "node_agent",
    "proto",
    "pyproject.toml",
    "uv.lock",
)
"""Everything that an image follows from, but Debian."""

ESP_OFFSET: Final = 1 << 20
IMAGES: Final = default_root().with_name("test-images")
KEY: Final = IMAGES / "image.key"
UKI_PATH: Final = "::/EFI/BOOT/BOOTX64.EFI"


def kept_image(repository: Path, profile: Profile, *, name: str = "", containers: Sequence[Path] = ()) -> ImageFolder:
    """Give an image of these sources, built now or before.

    Args:
        repository: the sources.
        profile: which of our images.
        name: of what is added to it.
        containers: archives of container images that are added to it.
    """
    kind = f"{profile}+{name}" if name else f"{profile}"
    place = IMAGES / f"{kind}-{digest_of(repository, containers)[:16]}"
    if not (place / ImageFile.BUILD).exists():
        for old in IMAGES.glob(f"{kind}-*"):  # images, and logs of their builds
            if old.is_dir():
                shutil.rmtree(old)
            else:
                old.unlink()
        IMAGES.mkdir(parents=True, exist_ok=True)
        request = ImageRequest(
            target=Target.QEMU_VTPM,
            profile=profile,
            repository=repository,
            mirrors=machine_mirrors(),
            key=KEY,
            containers=tuple(map(str, containers)),
        )
        build(place, request, report=_say)
    return ImageFolder.open(place)


def next_image(repository: Path, folder: Path) -> ImageFolder:
    """Give the image of sources that are a little newer: its services are others, and so is all that it measures.

    Args:
        repository: the sources.
        folder: gets a copy of them.
    """
    left = shutil.ignore_patterns(".venv", ".tools", ".cache", ".nox", "__pycache__")
    copy = shutil.copytree(repository, folder / "next-sources", ignore=left, symlinks=True)
    (copy / ".tools").symlink_to(repository / ".tools")
    with (copy / "constellation_services" / "__init__.py").open("a", encoding="utf-8") as module:
        module.write("# of the next release\n")
    return kept_image(copy, Profile.RELEASE, name="next")


def digest_of(repository: Path, containers: Sequence[Path] = ()) -> str:
    """Hash the sources of the image, and what is added to it."""
    hashed = hashlib.sha256()
    for source in SOURCES:
        root = repository / source
        for path in sorted([root] if root.is_file() else root.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                hashed.update(f"{path.relative_to(repository)}\0{path.stat().st_mode & 0o111}\0".encode())
                hashed.update(hashlib.sha256(path.read_bytes()).digest())
    for archive in containers:
        hashed.update(hashlib.sha256(archive.read_bytes()).digest())
    return hashed.hexdigest()


def _say(progress: Progress) -> None:
    print(progress, flush=True)  # noqa: T201 - pytest shows it if the build fails


def copied(image: ImageFolder, folder: Path) -> Path:
    """Copy the disk of an image."""
    copy = folder / f"altered-{len(list(folder.glob('altered-*')))}.raw"
    subprocess.run(["cp", "--sparse=always", image.place(ImageFile.DISK), copy], check=True)
    return copy


def with_kernel_image(image: ImageFolder, folder: Path, uki: bytes) -> ImageFolder:
    """Give an image that boots another kernel image, with all else as it was."""
    place = folder / "other-image"
    place.mkdir()
    for file in image.files():
        if file not in (ImageFile.DISK, ImageFile.UKI):
            shutil.copyfile(image.place(file), place / file)
    copied(image, folder).rename(place / ImageFile.DISK)
    (place / ImageFile.UKI).write_bytes(uki)
    disk = f"{place / ImageFile.DISK}@@{ESP_OFFSET}"
    subprocess.run(["mcopy", "-o", "-i", disk, place / ImageFile.UKI, UKI_PATH], check=True)
    return ImageFolder.open(place)


def with_section(uki: bytes, name: str, change: Callable[[bytes], bytes]) -> bytes:
    """Change the content of a section; the new one has to fit into the space that its alignment left."""
    executable = parse_executable(uki)
    (section,) = [one for one in executable.sections if one.name == name]
    content = change(bytes(executable.loaded(section)))
    if len(content) > section.raw_size:
        message = f"{name} has {section.raw_size} bytes of space, expected {len(content)}"
        raise ValueError(message)
    changed = bytearray(uki)
    changed[section.raw_offset : section.raw_offset + section.raw_size] = content.ljust(section.raw_size, b"\0")
    position = uki.index(name.encode().ljust(8, b"\0"), 0, 4096)
    changed[position + 8 : position + 12] = len(content).to_bytes(4, "little")  # VirtualSize
    return bytes(changed)


def console_shows(machine: Machine, text: str, *, seconds: float = 240) -> str:
    """Wait until the console shows a text; give all that it shows."""
    end = time.monotonic() + seconds
    while text not in machine.console_log():
        assert time.monotonic() < end, f"{text!r} is not on the console within {seconds:.0f} s"
        time.sleep(0.2)
    return machine.console_log()
