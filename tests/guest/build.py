# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What the guest boots: a kernel, and archives that become its whole file system.

| archive | what | made |
|---|---|---|
| system | Debian: kernel modules, Python, programs (`debian.toml`) | when its recipe changes |
| wheels | Python packages of `uv.lock` | when their list changes |
| checkout | our packages and the tests of this run | every time |

The first two are kept outside the repository. No root, no container and no emulator is needed to make any.
"""

from __future__ import annotations

import hashlib
import lzma
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from constellation_engine.components.cache import Cache, default_root
from constellation_engine.components.watch import Stage, Watch
from constellation_engine.debian.deb import unpack
from constellation_engine.debian.mirror import fetch, machine_mirrors
from constellation_engine.errors import DownloadError
from constellation_engine.services_image.interpreter import compile_modules
from constellation_engine.services_image.wheels import find_uv
from tests.guest import archive
from tests.guest.packages import LOCK, read_lock
from tests.guest.plugin import TIME_LIMIT

Report = Callable[[str], None]

REPOSITORY: Final = Path(__file__).parents[2]
PLACE: Final = "repository"
"""Where the checkout is in the guest."""
WHEELS: Final = "usr/local/lib/python3.13/dist-packages"
TIMEOUT: Final = 900.0  # seconds for downloads

_OURS: Final = ("attestation", "constellation_core", "node_agent", "proto/constellation_proto", "tests/guest")
_KEPT_FILES: Final = {".json", ".pem", ".py", ".toml", ".typed"}
_MODULES: Final = (
    "arch/x86/crypto",
    "crypto",
    "drivers/block",
    "drivers/cdrom",
    "drivers/char/virtio_console",
    "drivers/char/tpm",
    "drivers/dax",
    "drivers/md",
    "drivers/net/dummy",
    "drivers/net/net_failover",
    "drivers/net/tun",
    "drivers/net/veth",
    "drivers/net/virtio_net",
    "drivers/net/wireguard",
    "drivers/virtio",
    "fs/ext4",
    "fs/jbd2",
    "fs/mbcache",
    "fs/fuse",
    "fs/isofs",
    "fs/overlayfs",
    "lib",
    "net",
)
_LEFT_OUT: Final = (
    "!boot/config-*",
    "!boot/System.map-*",
    "!usr/include/*",
    "!usr/lib/modules/*/kernel/*",
    "!usr/lib/x86_64-linux-gnu/gconv/*",
    "!usr/share/*",
    *(f"usr/lib/modules/*/kernel/{module}*" for module in _MODULES),
)
_SHORT_NAMES: Final = {name: f"usr/{name}" for name in ("bin", "lib", "lib64", "sbin")}
_FOLDERS: Final = ("dev", "etc", "proc", "root", "run", "sys", "tmp", "usr/lib64", "var/lib", WHEELS)
_FILES: Final = {
    "etc/group": "root:x:0:\n",
    "etc/hosts": "127.0.0.1 localhost\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "etc/passwd": "root:x:0:0:root:/root:/bin/false\n",
}


@dataclass(frozen=True, slots=True)
class System:
    """What seldom changes.

    Attributes:
        kernel: for `qemu -kernel`.
        root: folder with all of its files; its interpreter runs here too.
        archive: the same as an archive.
    """

    kernel: Path
    root: Path
    archive: Path


def build_system(report: Report) -> System:
    """Give kernel and system; make them if they are not there."""
    folder = _cache() / f"system-{_digest(LOCK, Path(__file__))}"
    system = System(folder / "vmlinuz", folder / "root", folder / "root.cpio")
    watch = Watch(TIMEOUT, lambda progress: report(str(progress)) if progress.stage is not Stage.CACHED else None)
    with Cache(_cache()).locked("system", watch, "the guest's system"):
        if not system.archive.exists():
            report("building the guest's system (once)")
            for older in _cache().glob("system-*"):
                shutil.rmtree(older)
            _make_root(system.root, watch)
            next((system.root / "boot").glob("vmlinuz-*")).rename(system.kernel)
            compile_modules(system.root, system.root, timeout=TIMEOUT)
            archive.pack(system.root, system.archive)
    return system


def build_wheels(system: System, report: Report) -> Path:
    """Give the archive of Python packages; make it if it is not there."""
    requirements = _requirements()
    place = _cache() / f"wheels-{hashlib.sha256(requirements.encode()).hexdigest()[:16]}.cpio"
    if not place.exists():
        report("unpacking the guest's Python packages (once)")
        for older in _cache().glob("wheels-*"):
            older.unlink(missing_ok=True)
        with TemporaryDirectory(dir=_cache()) as folder:
            _install(requirements, Path(folder) / WHEELS)
            compile_modules(system.root, Path(folder), timeout=TIMEOUT)
            archive.pack(Path(folder), place)
    return place


def pack_checkout(system: System, tests: Iterable[Path], target: Path) -> None:
    """Pack our packages, and the folders of some tests.

    Args:
        system: compiles them.
        tests: files; what stands beside them comes too, and the modules in the folders above them: what every
            `conftest.py` there and those tests themselves may import.
        target: the archive.
    """
    with TemporaryDirectory() as folder:
        checkout = Path(folder) / PLACE
        for source in sorted({*(REPOSITORY / name for name in _OURS), *(test.parent for test in tests)}):
            for path in source.rglob("*"):
                if path.suffix in _KEPT_FILES:
                    _copy(path, checkout)
        for module in {module for test in tests for parent in test.parents for module in _modules(parent)}:
            _copy(module, checkout)
        _copy(REPOSITORY / "pyproject.toml", checkout)
        arguments = (f"--timeout={TIME_LIMIT:g}", *sorted(test.relative_to(REPOSITORY).as_posix() for test in tests))
        _write(checkout / "arguments.txt", "\n".join(arguments))
        init = Path(__file__).with_name("init.py").read_text(encoding="utf-8")
        _write(checkout.parent / "init", f"#!/usr/bin/python3.13 -I\n{init}", mode=0o755)
        compile_modules(system.root, checkout.parent, timeout=TIMEOUT)
        archive.pack(checkout.parent, target)


def _modules(folder: Path) -> Iterator[Path]:
    if folder.is_relative_to(REPOSITORY / "tests"):
        yield from folder.glob("*.py")


def _cache() -> Path:
    folder = default_root().with_name("guest")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _digest(*files: Path) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def _make_root(root: Path, watch: Watch) -> None:
    for name in _FOLDERS:
        (root / name).mkdir(parents=True)
    for name, target in _SHORT_NAMES.items():
        (root / name).symlink_to(target)
    for name, text in _FILES.items():
        _write(root / name, text)
    mirrors = machine_mirrors()
    for package in read_lock():
        try:
            file = fetch(package, mirrors, watch)
        except DownloadError as error:
            raise DownloadError(f"{error}; if mirrors dropped this version: python -m tests.guest") from None
        unpack(file.read_bytes(), root, ("*", *_LEFT_OUT))
    _prepare_modules(root)


def _prepare_modules(root: Path) -> None:
    """Unpack modules here, where it costs nothing, and list what each needs."""
    (folder,) = (root / "usr/lib/modules").iterdir()
    for module in folder.rglob("*.ko.xz"):
        module.with_suffix("").write_bytes(lzma.decompress(module.read_bytes()))
        module.unlink()
    loader = (str(root / "usr/lib64/ld-linux-x86-64.so.2"), "--library-path", str(root / "usr/lib/x86_64-linux-gnu"))
    command = (*loader, "--argv0", "depmod", str(root / "usr/bin/kmod"), "--basedir", str(root), folder.name)
    subprocess.run(command, check=True, timeout=60)


def _requirements() -> str:
    what = ("--no-dev", "--extra", "agent", "--group", "test", "--prune", "moto")
    command = (find_uv(REPOSITORY), "export", "--quiet", "--frozen", "--no-emit-project", "--no-header", *what)
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, check=True, stdout=subprocess.PIPE, text=True, timeout=60
    )
    return done.stdout


def _install(requirements: str, target: Path) -> None:
    demands = ("--require-hashes", "--no-deps", "--only-binary", ":all:", "--link-mode", "copy")
    place = ("--target", str(target), "--python-version", "3.13", "--python-platform", "x86_64-manylinux_2_40")
    command = (find_uv(REPOSITORY), "pip", "install", "--quiet", *demands, *place, "--python", sys.executable)
    subprocess.run((*command, "--requirements", "-"), input=requirements, check=True, text=True, timeout=TIMEOUT)


def _copy(path: Path, checkout: Path) -> None:
    target = checkout / path.relative_to(REPOSITORY)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)


def _write(path: Path, text: str, *, mode: int = 0o644) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
