# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Packages are found in the cache, on a mirror, or in a snapshot archive, and what is nowhere is named."""

from __future__ import annotations

import hashlib
import json
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from constellation_engine.components.watch import Progress, Stage
from constellation_engine.debian.packages import Archive
from constellation_engine.errors import GaveUpError, NodeImageError
from constellation_engine.node_image.gather import Gathered, Snapshot, gather, pool_path
from constellation_engine.testing.debian_packages import write_deb

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from constellation_engine.node_image.packages import DebianPackage

TIME = datetime(2026, 11, 21, 3, 4, 5, tzinfo=UTC)


class Handler(SimpleHTTPRequestHandler):
    """Serves files, and keeps quiet."""

    def log_message(self, *_words: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    folder.mkdir(exist_ok=True)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """What the servers serve."""
    return tmp_path / "served"


@pytest.fixture
def address(place: Path) -> Iterator[str]:
    """Where they serve it."""
    with served(place) as url:
        yield url


@pytest.fixture
def package(tmp_path: Path) -> DebianPackage:
    """A package whose version has an epoch, and whose source has another name."""
    return write_deb(tmp_path / "made", "libz+1", "1:1.3+b1", source="libz (1:1.3)")


@pytest.fixture
def content(tmp_path: Path, package: DebianPackage) -> bytes:
    """The file."""
    assert package.name == "libz+1"
    return (tmp_path / "made" / "libz+1_1%3a1.3+b1_amd64.deb").read_bytes()


def put(root: Path, path: str, content: bytes) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(content)


def find(package: DebianPackage, cache: Path, **where: object) -> Gathered:
    told: list[Progress] = []
    mirrors, snapshot = where.get("mirrors", {}), where.get("snapshot")
    assert isinstance(mirrors, dict)
    assert snapshot is None or isinstance(snapshot, Snapshot)
    found = gather([package], cache=cache, mirrors=mirrors, snapshot=snapshot, report=told.append, timeout=30)
    last = told[-1].stage
    assert last is Stage.UNREACHABLE if found.missing else last in (Stage.CACHED, Stage.READY)
    return found


POOL = "pool/main/libz/libz/libz+1_1.3+b1_amd64.deb"


def test_the_path_in_an_archive(package: DebianPackage) -> None:
    assert pool_path(package, Archive.MAIN) == POOL.replace("+", "%2B")
    assert pool_path(package, Archive.SECURITY).startswith("pool/updates/main/libz/libz/")


def test_a_mirror_is_asked_and_the_cache_keeps(
    tmp_path: Path, place: Path, address: str, package: DebianPackage, content: bytes
) -> None:
    put(place, POOL, content)
    found = find(package, tmp_path / "cache", mirrors={Archive.MAIN: address})
    assert found.require_all()[package].read_bytes() == content
    (place / POOL).unlink()
    assert find(package, tmp_path / "cache").require_all()[package].read_bytes() == content


def test_the_security_archive_is_asked_too(
    tmp_path: Path, place: Path, address: str, package: DebianPackage, content: bytes
) -> None:
    put(place, f"security/{POOL.replace('pool/', 'pool/updates/')}", content)
    mirrors = {Archive.MAIN: f"{address}/main", Archive.SECURITY: f"{address}/security"}
    assert not find(package, tmp_path / "cache", mirrors=mirrors).missing


@pytest.mark.parametrize(
    "archive, pool", [("debian", POOL), ("debian-security", POOL.replace("pool/", "pool/updates/"))]
)
def test_a_snapshot_of_a_time_is_asked(
    tmp_path: Path, place: Path, address: str, package: DebianPackage, content: bytes, archive: str, pool: str
) -> None:
    put(place, f"archive/{archive}/20261121T030405Z/{pool}", content)
    assert not find(package, tmp_path / "cache", snapshot=Snapshot(address, TIME)).missing


def test_a_snapshot_archive_finds_files_by_their_version(
    tmp_path: Path, place: Path, address: str, package: DebianPackage, content: bytes
) -> None:
    sha1 = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    files = [{"architecture": "arm64", "hash": "0" * 40}, {"architecture": "amd64", "hash": sha1}]
    put(place, "mr/binary/libz+1/1:1.3+b1/binfiles", json.dumps({"result": files}).encode())
    put(place, f"file/{sha1}", content)
    assert not find(package, tmp_path / "cache", snapshot=Snapshot(address)).missing


def test_what_is_nowhere_is_named_with_every_reason(tmp_path: Path, address: str, package: DebianPackage) -> None:
    found = find(package, tmp_path / "cache", mirrors={Archive.MAIN: address}, snapshot=Snapshot(address, TIME))
    assert found.missing[package].count("got 404") == 3
    with pytest.raises(NodeImageError, match=r"1 of 1 packages are no longer to be had:\n  libz\+1 1:1\.3\+b1: "):
        found.require_all()


def test_other_bytes_of_that_name_are_not_used(
    tmp_path: Path, place: Path, address: str, package: DebianPackage, content: bytes
) -> None:
    put(place, POOL, b"another build of the same version")
    put(place, f"archive/debian/20261121T030405Z/{POOL}", content)
    mirrors = {Archive.MAIN: address}
    assert "expected sha256" in find(package, tmp_path / "one", mirrors=mirrors).missing[package]
    assert not find(package, tmp_path / "two", mirrors=mirrors, snapshot=Snapshot(address, TIME)).missing


def test_a_damaged_file_in_the_cache_is_fetched_again(
    tmp_path: Path, place: Path, address: str, package: DebianPackage, content: bytes
) -> None:
    put(place, POOL, content)
    put(tmp_path / "cache", f"archives/{package.sha256}", b"damaged")
    found = find(package, tmp_path / "cache", mirrors={Archive.MAIN: address})
    assert found.found[package].read_bytes() == content


@pytest.mark.parametrize(
    "answer", [b"", b"[]", b'{"result": [{}]}', b'{"result": [{"architecture": "amd64", "hash": "../../x"}]}']
)
def test_an_archive_that_answers_nonsense_is_told(
    tmp_path: Path, place: Path, address: str, package: DebianPackage, answer: bytes
) -> None:
    put(place, "mr/binary/libz+1/1:1.3+b1/binfiles", answer)
    found = find(package, tmp_path / "cache", snapshot=Snapshot(address))
    assert "expected a list of files, got something else" in found.missing[package]


def test_nobody_to_ask_is_told(tmp_path: Path, package: DebianPackage) -> None:
    assert find(package, tmp_path / "cache").missing == {package: "nobody may be asked"}


def test_a_server_that_is_not_there_is_told(tmp_path: Path, package: DebianPackage) -> None:
    found = find(package, tmp_path / "cache", snapshot=Snapshot("http://127.0.0.1:1"))
    assert "Connection refused" in found.missing[package]


def test_a_cache_that_is_none_is_told(tmp_path: Path, package: DebianPackage) -> None:
    (tmp_path / "cache").touch()
    with pytest.raises(NodeImageError, match="cannot be used as a cache"):
        gather([package], cache=tmp_path / "cache", mirrors={}, snapshot=None, report=lambda _: None)


def test_time_that_is_over_is_told(tmp_path: Path, address: str, package: DebianPackage) -> None:
    mirrors = {Archive.MAIN: address}
    with pytest.raises(GaveUpError, match="gave up after 1e-09 s"):
        gather([package], cache=tmp_path / "c", mirrors=mirrors, snapshot=None, report=lambda _: None, timeout=1e-9)
