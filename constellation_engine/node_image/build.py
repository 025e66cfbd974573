# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Build a node image: contents, mkosi, prediction, signature, records; the same sources and packages, the same bytes.

1. What is not Debian's goes into a tree (`contents`).
2. mkosi makes a disk of it with images/node: ESP, root, hashes of the root; and the unified kernel image.
3. What a machine will measure follows from that image alone (`attestation.measured_boot`), and, where the firmware is
   handed a kernel, from kernel, initrd and command line (`constellation_engine.machines.launch_digest`).
4. It is signed, and put into the ESP: nothing measures the ESP's other files, so nothing of the above changes.
5. What the image is made of is written beside it.

The folder gets its name when it is whole: who interrupts a build leaves no half image.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version as version_of
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from attestation.measured_boot.uki import parse_uki
from constellation_engine.components import Store
from constellation_engine.components.cache import Cache, default_root
from constellation_engine.components.watch import Stage, Watch
from constellation_engine.container_images import Sources
from constellation_engine.container_images.given_images import size_of, take_images
from constellation_engine.debian.packages import RELEASE
from constellation_engine.errors import MissingProgramError, NodeImageError
from constellation_engine.node_image import installed, mkosi
from constellation_engine.node_image.build_record import BuildRecord
from constellation_engine.node_image.contents import make_contents
from constellation_engine.node_image.esp import put_into_esp
from constellation_engine.node_image.image_folder import ImageFile, ImageFolder
from constellation_engine.node_image.measurements import predict_manifest
from constellation_engine.node_image.packages import PackageManifest
from constellation_engine.node_image.repeat import PackagePlaces, check_containers, collect_packages
from constellation_engine.node_image.sbom import write_sbom
from constellation_engine.node_image.signing import load_or_create_key, sign_image, trusted_keys
from constellation_engine.node_image.targets import NAME, Profile, Target
from constellation_engine.whole_files import is_replaceable, whole_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from constellation_core.component_list import Component
    from constellation_engine.components.watch import Report
    from constellation_engine.container_images.build import BuiltImage
    from constellation_engine.debian.mirror import Mirrors
    from constellation_engine.node_image.contents import Contents
    from constellation_engine.node_image.gather import Snapshot
    from constellation_engine.node_image.launch import LaunchInputs

CONFIGURATION: Final = Path("images/node")
NEEDED_SPACE: Final = 8 << 30  # bytes: two trees, two disks, caches
DEFAULT_TIMEOUT: Final = 3600.0  # seconds; four minutes on two slow cores if all was fetched before
TITLE: Final = "node image"
LOG: Final = "build.log"  # in the image; FOLDER.log beside it if there is none

_COPIES: Final = 6  # of a container image, while it is built in: it is unpacked, and lies in a tree, and in the disk


def default_cache() -> Path:
    """Give the folder of what is kept between builds: beside that of the components."""
    return default_root().with_name("node-image")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRequest:
    """Which image to build.

    Attributes:
        target: what it is for.
        profile: how much it lets people in.
        kubernetes: version, `1.36` or `1.36.4`; empty for the newest.
        repository: a checkout of Constellation.
        mirrors: of Debian.
        key: file of the key that signs images; is made where there is none. Nodes believe it, and a key that comes or
            goes (`key_rotation`).
        cache: folder of what is kept between builds.
        launch: for targets whose firmware is handed a kernel.
        from_manifest: `packages.json` of an image: build from these packages, and no others.
        snapshot: is asked for those that mirrors dropped.
        containers: container images that pods are to find, `FILE` or `NAME:TAG=FILE`; see `take_images`.
    """

    target: Target
    profile: Profile = Profile.RELEASE
    kubernetes: str = ""
    repository: Path
    mirrors: Mirrors
    key: Path
    cache: Path = field(default_factory=default_cache)
    launch: LaunchInputs | None = None
    from_manifest: Path | None = None
    snapshot: Snapshot | None = None
    containers: Sequence[str] = ()


def build(output: Path, request: ImageRequest, *, report: Report, timeout: float = DEFAULT_TIMEOUT) -> ImageFolder:
    """Build an image. What the user gave is looked at before anything is built.

    Args:
        output: folder of the image, to make or to replace.
        request: which image.
        report: is told how it goes.
        timeout: seconds.

    Raises:
        NodeImageError: something cannot be built here; says what is missing.
        ComponentError: a program of the cluster cannot be had.
        ImageBuildError: a package or a container image cannot be had, or a given one cannot be used.
        SecretFileError: the key is readable by others, or cannot be made.
    """
    _check(output, request)
    watch = Watch(timeout, report)
    try:
        request.cache.mkdir(parents=True, exist_ok=True)
        with _taken(request) as given:
            _check_space(output, request, given)
            with Cache(request.cache).locked(TITLE, watch, TITLE), whole_folder(output) as draft:
                log = Path(f"{output.resolve()}.log")
                log.unlink(missing_ok=True)
                _Build(request, given, ImageFolder(draft), log, watch).run()
                shutil.move(log, draft / LOG)
    except OSError as error:
        raise NodeImageError(f"the image cannot be written: {error}", hint="is the disk full, or not yours?") from error
    watch.tell(TITLE, Stage.READY)
    return ImageFolder.open(output)


def source_date(repository: Path) -> datetime:
    """Give the time of the sources: SOURCE_DATE_EPOCH (reproducible-builds.org), else that of the last commit.

    Raises:
        NodeImageError: there is neither.
    """
    if stated := os.environ.get("SOURCE_DATE_EPOCH"):
        return datetime.fromtimestamp(int(stated), UTC)
    command = ("git", "-C", str(repository), "log", "-1", "--format=%ct")
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)  # noqa: S603 - git
        return datetime.fromtimestamp(int(done.stdout), UTC)
    except (OSError, ValueError, subprocess.SubprocessError):
        raise NodeImageError(
            f"{repository}: expected a git checkout, which says how old the sources are",
            hint="or say it yourself: SOURCE_DATE_EPOCH=$(date +%s)",
        ) from None


def record_of(request: ImageRequest) -> BuildRecord:
    """Say what an image will be.

    Raises:
        NodeImageError: nothing says how old the sources are.
        ComponentError: there is no such version of Kubernetes.
    """
    return BuildRecord(
        name=NAME,
        version=version_of("constellation-kubernetes"),
        target=request.target.variant.value,
        variant=request.target.variant,
        profile=request.profile.value,
        kubernetes=Store().manifest.version(request.kubernetes),
        created=source_date(request.repository),
    )


class _Build:
    """One build."""

    def __init__(
        self, request: ImageRequest, given: Sequence[BuiltImage], folder: ImageFolder, log: Path, watch: Watch
    ) -> None:
        self._request = request
        self._given = given
        self._folder = folder
        self._log = log
        self._watch = watch
        self._key = load_or_create_key(request.key)
        self._trusted = trusted_keys(request.key)
        self._store = Store()
        self._made = request.cache / "made"
        self._debs = request.cache / "packages"
        self._record = record_of(request)

    def run(self) -> None:
        with TemporaryDirectory(prefix="build-", dir=self._request.cache) as name:
            tree = Path(name, "tree")
            contents = make_contents(
                tree,
                record=self._record,
                public_key=self._trusted,
                sources=Sources(self._store, self._request.repository, self._request.mirrors),
                given=self._given,
                work=self._request.cache,
                watch=self._watch,
            )
            self._run_mkosi(tree, Path(name))
        self._take_disk()
        self._measure(contents.components)
        put_into_esp(self._folder)
        self._write_records(contents)

    def _run_mkosi(self, tree: Path, work: Path) -> None:
        """Make the disk."""
        request, cache = self._request, self._request.cache
        for folder in (self._made, self._debs, cache / "trees", cache / "work"):
            folder.mkdir(exist_ok=True)
        packages = self._collect_packages(work / "packages")
        sources = mkosi.write_sources(work / "sources", {} if packages else request.mirrors)
        arguments = [
            "--force",
            f"--profile={request.target.platform.value},{request.profile.value}",
            f"--extra-tree={tree}",
            f"--output-directory={self._made}",
            f"--cache-directory={cache / 'trees'}",
            f"--package-cache-directory={self._debs}",
            f"--workspace-directory={cache / 'work'}",
            f"--sandbox-tree={sources}",
            f"--tools-tree-sandbox-tree={sources}",
        ]
        if packages:
            # Trees that other builds left may hold other versions.
            arguments += [f"--package-directory={packages}", f"--tools-tree-package-directory={packages}", "--force"]
        mkosi.run(
            mkosi.find_mkosi(cache, request.mirrors, self._watch),
            [*arguments, "build"],
            folder=request.repository / CONFIGURATION,
            log=self._log,
            watch=self._watch,
            title=TITLE,
        )

    def _collect_packages(self, folder: Path) -> Path | None:
        """Give a folder with the packages of another build, if it is to be repeated."""
        request = self._request
        if request.from_manifest is None:
            return None
        places = PackagePlaces(self._debs, default_root().with_name("packages"), request.mirrors, request.snapshot)
        collect_packages(
            request.from_manifest,
            folder,
            places,
            report=self._watch.pass_on,
            timeout=self._watch.remaining(TITLE),
        )
        return folder

    def _take_disk(self) -> None:
        for file in (ImageFile.DISK, ImageFile.UKI):
            shutil.move(self._made / file, self._folder.place(file))
        self._folder.place(ImageFile.PUBLIC_KEY).write_bytes(self._trusted)
        self._folder.place(ImageFile.BUILD).write_bytes(self._record.to_document())
        if self._request.target.boots_kernel_directly:
            self._take_uki_apart()

    def _take_uki_apart(self) -> None:
        """Write what a firmware is handed that boots a kernel and no UKI."""
        uki = parse_uki(self._folder.place(ImageFile.UKI).read_bytes())
        for file, section in ((ImageFile.KERNEL, ".linux"), (ImageFile.INITRD, ".initrd")):
            self._folder.place(file).write_bytes(uki.sections[section])
        self._folder.place(ImageFile.COMMAND_LINE).write_text(uki.command_line or "", encoding="utf-8")

    def _measure(self, components: tuple[Component, ...]) -> None:
        """Predict, write what was predicted, and sign it."""
        manifest = predict_manifest(
            self._folder, build=self._record, components=components, launch=self._request.launch
        )
        self._folder.place(ImageFile.MEASUREMENTS).write_bytes(manifest.to_document())
        sign_image(self._folder, self._key)

    def _write_records(self, contents: Contents) -> None:
        manifests = [self._made / "node.manifest", self._made / "initrd.manifest"]
        in_image = {one for path in manifests for one in installed.from_mkosi_manifest(path.read_bytes())}
        packages = PackageManifest(
            release=RELEASE,
            source_date=self._record.created,
            debian=installed.describe(in_image, [self._debs]),
            tools=installed.describe(installed.from_dpkg_status(self._made / "tools"), [self._debs]),
            python=contents.python,
            components=contents.components,
            containers=contents.containers,
        )
        self._folder.place(ImageFile.PACKAGES).write_bytes(packages.to_document())
        self._folder.place(ImageFile.SBOM).write_bytes(write_sbom(packages, self._record))


def _check(output: Path, request: ImageRequest) -> None:
    """See what would fail only after minutes."""
    if not is_replaceable(output, ImageFile.BUILD):
        raise NodeImageError(f"{output} is there and is no image", hint="name another folder: --output FOLDER")
    if not (request.repository / CONFIGURATION / "mkosi.conf").is_file():
        raise NodeImageError(
            f"{request.repository}: expected a checkout of Constellation, with {CONFIGURATION}",
            hint="name one: --repository FOLDER",
        )
    if request.target.boots_kernel_directly != (request.launch is not None):
        raise NodeImageError(
            f"{request.target.variant}: expected firmware and processors for its launch digests, and for no other",
            hint="--firmware OVMF.amdsev.fd --cpus 2,4 --cpu-model EPYC-Milan",
        )
    if request.from_manifest and not request.from_manifest.is_file():
        raise NodeImageError(
            f"{request.from_manifest}: expected {ImageFile.PACKAGES} of an image, there is none",
            hint="name the file of another image, or get this one again",
        )
    if shutil.which("mcopy") is None:
        raise MissingProgramError("there is no mcopy on this machine", hint="apt-get install mtools")
    if request.from_manifest and shutil.which("reprepro") is None:
        raise MissingProgramError("there is no reprepro on this machine", hint="apt-get install reprepro")
    _check_space(output, request, ())  # again when it is known how large the container images of the user are


@contextmanager
def _taken(request: ImageRequest) -> Iterator[tuple[BuiltImage, ...]]:
    """Give the container images of the user, laid out in a folder that disappears in the end."""
    with TemporaryDirectory(prefix="containers-", dir=request.cache) as name:
        given = take_images(request.containers, Path(name))
        if request.from_manifest:
            check_containers(request.from_manifest, given)
        yield given


def _check_space(output: Path, request: ImageRequest, given: Sequence[BuiltImage]) -> None:
    needed = NEEDED_SPACE + _COPIES * size_of(given)
    for place in (output, request.cache):
        there = next(folder for folder in (place.absolute(), *place.absolute().parents) if folder.exists())
        if (free := shutil.disk_usage(there).free) < needed:
            raise NodeImageError(
                f"{there}: expected {needed / (1 << 30):.0f} GiB of free space, got {free / (1 << 30):.1f}",
                hint="name another folder by --output or --cache",
            )
