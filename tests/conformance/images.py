# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Container images that the conformance tests ask for, built here: nodes have no registry.

`agnhost` is the program of Kubernetes' own module, built from its sources (modules/manifest.toml); shells, busybox,
dig, curl, nc and getent are Debian's. Names and tags are those that `e2e.test --list-images` says.

Against the published images there is no iperf, no CoreDNS of 2019, no certificate of agnhost's `porter`, and no
registry within agnhost: no test that is chosen here asks for them.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from constellation_engine.components import Origin, Store, read_manifest
from constellation_engine.components.cache import default_root
from constellation_engine.components.watch import Watch
from constellation_engine.container_images.frame import make_frame
from constellation_engine.container_images.layer import write_layer
from constellation_engine.container_images.oci import Settings, write_image
from constellation_engine.debian.mirror import fetch, machine_mirrors
from constellation_engine.debian.packages import read_lock
from constellation_engine.debian.root import unpack_packages
from tests.conformance.packages import KEPT, LIST, LOCK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from constellation_engine.container_images.layer import Layer
    from constellation_engine.debian.packages import Package

MODULES: Final = Path(__file__).with_name("modules")
REGISTRY: Final = "registry.k8s.io/e2e-test-images"
AGNHOST: Final = f"{REGISTRY}/agnhost:2.63.0"
BUSYBOX: Final = f"{REGISTRY}/busybox:1.37.0-1"
GLIBC_DNS: Final = f"{REGISTRY}/glibc-dns-testing:2.0.0"

_TIMEOUT: Final = 3600.0  # seconds; half a minute if the programs were built before
_ROOT: Final = "0:0"
_SEARCH_PATH: Final = ("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",)
# As in the published image: tests of supplemental groups know this user.
_USERS: Final = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
    "user-defined-in-image:x:1000:1000::/home/user-defined-in-image:/bin/sh\n",
    "etc/group": "root:x:0:\nnobody:x:65534:\nuser-defined-in-image:x:1000:\n"
    "group-defined-in-image:x:50000:user-defined-in-image\n",
}


def conformance_programs() -> Store:
    """Give the store with e2e.test and agnhost."""
    return Store(manifest=read_manifest(MODULES))


def conformance_images(folder: Path | None = None) -> list[Path]:
    """Build the images, unless they were built before from the same.

    Args:
        folder: for the archives; default: among what is kept between builds.

    Returns:
        OCI archives, for `constellation image build --container-image`.

    Raises:
        EngineError: a program or a package cannot be had.
    """
    target = (folder or default_root().with_name("conformance-images")) / _key()
    if target.is_dir():
        return sorted(target.iterdir())
    target.parent.mkdir(parents=True, exist_ok=True)
    watch = Watch(_TIMEOUT, lambda _progress: None)
    mirrors = machine_mirrors()
    packages = {one: fetch(one, mirrors, watch) for one in read_lock(LOCK, LIST.wanted)}
    agnhost = conformance_programs().fetch(["agnhost"], only=Origin.BUILD, timeout=_TIMEOUT)["agnhost"]
    with TemporaryDirectory(prefix=".draft-", dir=target.parent) as name:
        _Builder(Path(name)).build(packages, agnhost)
        with suppress(OSError):  # somebody else did the same meanwhile
            Path(name, "archives").rename(target)
    return sorted(target.iterdir())


def _key() -> str:
    """Give a name for what the images are made of."""
    sources = [Path(__file__), Path(__file__).with_name("packages.py"), LOCK, MODULES / "manifest.toml"]
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class _Builder:
    """Builds images.

    Attributes:
        work: for drafts, and for a folder of archives.
    """

    work: Path

    def build(self, packages: Mapping[Package, Path], agnhost: Path) -> None:
        (self.work / "archives").mkdir()
        tools = self._layer("tools", lambda root: fill_with_tools(root, packages))
        program = self._layer("agnhost", lambda root: _fill_with_agnhost(root, agnhost))
        busybox = self._layer("busybox", lambda root: _fill_with_busybox(root, self.work / "tools/usr/bin"))
        plain = Settings(user=_ROOT, arguments=["sh"], environment=_SEARCH_PATH)
        self._write(AGNHOST, [tools, program], replace(plain, entrypoint=["/agnhost"], arguments=["pause"]))
        self._write(BUSYBOX, [busybox], plain)
        self._write(GLIBC_DNS, [tools], plain)

    def _layer(self, name: str, fill: Callable[[Path], None]) -> Layer:
        root = self.work / name
        root.mkdir()
        fill(root)
        return write_layer(root, self.work / f"{name}.tar", name)

    def _write(self, reference: str, layers: list[Layer], settings: Settings) -> None:
        repository, _, tag = reference.rpartition(":")
        short = repository.rpartition("/")[2]
        write_image(self.work / f"{short}-image", repository, layers, settings, tag=tag)
        # An archive of a layout is a folder in a tar archive, too: written like a layer, the same bytes every time.
        write_layer(self.work / f"{short}-image", self.work / "archives" / f"{short}.tar", short)


def fill_with_tools(root: Path, packages: Mapping[Package, Path]) -> None:
    """Put a shell and tools into a root."""
    unpack_packages(packages, root, KEPT)
    make_frame(root)
    for name, text in _USERS.items():
        (root / name).write_text(text, encoding="utf-8")
    (root / "usr/bin/nc").symlink_to("nc.openbsd")
    (root / "usr/bin/sh").symlink_to("dash")
    _link_applets(root / "usr/bin/busybox")


def _fill_with_agnhost(root: Path, agnhost: Path) -> None:
    shutil.copy(agnhost, root / "agnhost")
    (root / "agnhost-2").symlink_to("agnhost")  # by which tests see that a pod may name another entrypoint
    (root / "uploads").mkdir()


def _fill_with_busybox(root: Path, tools: Path) -> None:
    make_frame(root)
    (root / "bin").mkdir()
    shutil.copy(tools / "busybox", root / "bin/busybox")
    shutil.copy(tools / "bash-static", root / "bin/sh")
    _link_applets(root / "bin/busybox")


def _link_applets(busybox: Path) -> None:
    """Make a name for everything that busybox can do and no other program does."""
    listed = subprocess.run([busybox, "--list"], check=True, capture_output=True, text=True, timeout=60).stdout
    for applet in listed.split():
        place = busybox.with_name(applet)
        if not place.exists() and not place.is_symlink():
            place.symlink_to(busybox.name)
