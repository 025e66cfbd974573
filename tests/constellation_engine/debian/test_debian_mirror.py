# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Packages come from a mirror that nobody trusts, by a list that the archive signed: a real apt, a small archive."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import threading
from dataclasses import replace
from email.utils import formatdate
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from constellation_cli.main import app
from constellation_engine.components.watch import Watch
from constellation_engine.container_images import kube_proxy
from constellation_engine.debian.mirror import fetch, machine_mirrors, newest
from constellation_engine.debian.packages import Archive, Package, read_lock, write_lock
from constellation_engine.errors import DownloadError, HashMismatchError, ImageBuildError
from constellation_engine.services_image import packages as services

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from constellation_engine.debian.mirror import Mirrors

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("apt-get", "gpg"))), reason="no apt and no gpg here: this is no Debian"
)


WANTED = services.LIST.wanted.keys() | kube_proxy.LIST.wanted.keys()


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:  # noqa: ANN401 - whatever the server says
        pass


class SignedArchive:
    """A Debian archive with a security archive beside it, and the key that signs both."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "www"
        self.keyring = folder / "archive.gpg"
        self._home = folder / "gnupg"
        self._home.mkdir(mode=0o700)
        self._gpg("--quick-generate-key", "--passphrase=", "archive", "default", "sign", "never")
        self.keyring.write_bytes(self._gpg("--export"))

    def publish(self, archive: Archive, suite: str, versions: dict[str, str]) -> None:
        """Publish packages, of which each holds its own name and version."""
        index = b"".join(self._add(archive, name, version) for name, version in versions.items())
        lists = self.folder / archive / "dists" / suite
        (lists / "main/binary-amd64").mkdir(parents=True)
        (lists / "main/binary-amd64/Packages").write_bytes(index)
        digest = hashlib.sha256(index).hexdigest()
        (lists / "Release").write_text(
            f"Suite: {suite}\nCodename: {suite}\nDate: {formatdate(usegmt=True)}\n"
            f"Architectures: amd64\nComponents: main\nSHA256:\n {digest} {len(index)} main/binary-amd64/Packages\n"
        )
        self._gpg("--clearsign", f"--output={lists / 'InRelease'}", str(lists / "Release"))

    def _add(self, archive: Archive, name: str, version: str) -> bytes:
        content = f"{name} {version}".encode()
        path = f"pool/main/{name}_{version.partition(':')[2]}_amd64.deb"
        file = self.folder / archive / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        fields = f"Version: {version}\nArchitecture: amd64\nFilename: {path}\nSize: {len(content)}\nSHA256: {digest}\n"
        return f"Package: {name}\n{fields}Maintainer: nobody\nDescription: x\n\n".encode()

    def _gpg(self, *words: str) -> bytes:
        command = ("gpg", "--batch", "--quiet", f"--homedir={self._home}", "--pinentry-mode=loopback", *words)
        return subprocess.run(command, check=True, capture_output=True).stdout


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> SignedArchive:
    """Every wanted package at version 1, and a newer libc6 among the security updates."""
    made = SignedArchive(tmp_path_factory.mktemp("archive"))
    made.publish(Archive.MAIN, "trixie", dict.fromkeys(WANTED, "1:1.0-1"))
    made.publish(Archive.MAIN, "trixie-updates", {})
    made.publish(Archive.SECURITY, "trixie-security", {"libc6": "1:1.0-1+deb13u1"})
    return made


@pytest.fixture(scope="module")
def mirrors(archive: SignedArchive) -> Iterator[Mirrors]:
    """Where the archive is served."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=archive.folder))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield {name: f"http://127.0.0.1:{server.server_port}/{name}" for name in Archive}
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def packages(archive: SignedArchive, mirrors: Mirrors) -> dict[str, Package]:
    """What apt finds there."""
    return {package.name: package for package in newest(WANTED, mirrors, keyring=archive.keyring)}


@pytest.fixture
def watch() -> Watch:
    """Looks after one download."""
    return Watch(30, lambda _: None)


def test_the_newest_version_wins_wherever_it_is(packages: dict[str, Package]) -> None:
    assert packages.keys() == WANTED
    found = packages["libc6"]
    assert (found.version, found.archive) == ("1:1.0-1+deb13u1", Archive.SECURITY)
    assert (packages["zlib1g"].version, packages["zlib1g"].archive) == ("1:1.0-1", Archive.MAIN)


def test_a_list_by_another_key_is_refused(archive: SignedArchive, mirrors: Mirrors, tmp_path: Path) -> None:
    other = SignedArchive(tmp_path)
    assert other.keyring != archive.keyring
    with pytest.raises(ImageBuildError, match="apt-get update failed"):
        newest(WANTED, mirrors, keyring=other.keyring)


def test_a_list_without_a_wanted_package_is_refused(archive: SignedArchive, mirrors: Mirrors) -> None:
    swapped = {**mirrors, Archive.MAIN: mirrors[Archive.SECURITY]}
    with pytest.raises(ImageBuildError, match="apt-get update failed"):
        newest(WANTED, swapped, keyring=archive.keyring)


def test_a_package_is_fetched_once(
    packages: dict[str, Package], mirrors: Mirrors, watch: Watch, tmp_path: Path
) -> None:
    package = packages["libc6"]
    place = fetch(package, mirrors, watch, cache=tmp_path)
    assert place.read_text() == "libc6 1:1.0-1+deb13u1"
    nowhere = dict.fromkeys(Archive, "http://127.0.0.1:1")
    assert fetch(package, nowhere, watch, cache=tmp_path) == place


def test_a_mirror_that_gives_other_bytes_is_not_believed(
    packages: dict[str, Package], mirrors: Mirrors, watch: Watch, tmp_path: Path
) -> None:
    package = replace(packages["libc6"], sha256=64 * "0")
    with pytest.raises(HashMismatchError, match="expected sha256 0000"):
        fetch(package, mirrors, watch, cache=tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size] == []


def test_a_damaged_file_in_the_cache_is_fetched_again(
    packages: dict[str, Package], mirrors: Mirrors, watch: Watch, tmp_path: Path
) -> None:
    place = fetch(packages["libc6"], mirrors, watch, cache=tmp_path)
    place.write_bytes(b"damaged")
    assert fetch(packages["libc6"], mirrors, watch, cache=tmp_path).read_text() == "libc6 1:1.0-1+deb13u1"


def test_a_version_that_is_gone_says_what_to_do(
    packages: dict[str, Package], mirrors: Mirrors, watch: Watch, tmp_path: Path
) -> None:
    package = replace(packages["libc6"], path="pool/main/gone.deb")
    with pytest.raises(DownloadError, match="404") as raised:
        fetch(package, mirrors, watch, cache=tmp_path)
    assert "services lock" in raised.value.hint


SOURCES = """\
deb http://mirror.example/debian-copy/ bookworm main
deb http://mirror.example/security/ bookworm-security main
"""


ONE_SOURCE = SOURCES.splitlines()[0]


@pytest.mark.parametrize("sources, missing", [(SOURCES, ""), (ONE_SOURCE, "debian-security"), ("", "debian or")])
def test_mirrors_are_those_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sources: str, missing: str
) -> None:
    (tmp_path / "sources.list").write_text(f"{sources}\n")
    settings = f'Dir::Etc::SourceList "{tmp_path}/sources.list"; Dir::Etc::SourceParts "-"; Dir::State "{tmp_path}";\n'
    (tmp_path / "apt.conf").write_text(settings)
    monkeypatch.setenv("APT_CONFIG", os.fspath(tmp_path / "apt.conf"))
    if missing:
        with pytest.raises(ImageBuildError, match=f"no mirror of {missing}"):
            machine_mirrors()
        return
    assert machine_mirrors() == {
        Archive.MAIN: "http://mirror.example/debian-copy",
        Archive.SECURITY: "http://mirror.example/security",
    }


def test_a_machine_without_apt_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    with pytest.raises(ImageBuildError, match="no apt-get") as raised:
        machine_mirrors()
    assert "--mirror" in raised.value.hint


def test_the_command_pins_the_newest_and_says_what_changed(
    archive: SignedArchive, mirrors: Mirrors, packages: dict[str, Package], tmp_path: Path
) -> None:
    (tmp_path / "uv.lock").touch()
    before = packages | {"base-files": replace(packages["base-files"], version="0.9")}
    for listed in (services.LIST, kube_proxy.LIST):
        lock = tmp_path / listed.file
        lock.parent.mkdir(parents=True)
        lock.write_text(write_lock((before[name] for name in listed.wanted), listed.image))
    options = {"repository": tmp_path, "keyring": archive.keyring, "mirror": mirrors[Archive.MAIN]}
    options["security-mirror"] = mirrors[Archive.SECURITY]
    result = CliRunner().invoke(app, ["services", "lock", *(f"--{name}={value}" for name, value in options.items())])
    assert (result.exit_code, result.stdout) == (0, 2 * "base-files 0.9 -> 1:1.0-1\n")
    for listed in (services.LIST, kube_proxy.LIST):
        found = read_lock(tmp_path / listed.file, listed.wanted)
        assert found == tuple(packages[name] for name in sorted(listed.wanted))
