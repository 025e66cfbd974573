# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A real HTTP server that misbehaves on demand, a Go command that does as it is told, and small manifests."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from constellation_engine.components import Component, Download, Manifest, Progress, Store, our_manifest
from constellation_engine.components.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@dataclass
class Shop:
    """What the server gives, and how it misbehaves."""

    url: str = ""
    content: bytes = b""
    etag: str = '"first"'
    ignores_range: bool = False
    wrong_range: bool = False
    says_length: bool = True
    statuses: list[int] = field(default_factory=list)
    breaks_after: list[int] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    def source(self, member: str = "") -> Download:
        return Download(self.url, self.sha256, member)


class Handler(BaseHTTPRequestHandler):
    shop: Shop

    def do_GET(self) -> None:
        self.shop.asked.append(dict(self.headers))
        if self.shop.statuses:
            self.send_error(self.shop.statuses.pop(0))
            return
        start = self.wanted_start()
        if start >= len(self.shop.content) > 0:
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            said = 0 if self.shop.wrong_range else start
            self.send_header("Content-Range", f"bytes {said}-{len(self.shop.content) - 1}/{len(self.shop.content)}")
        if self.shop.etag:
            self.send_header("ETag", self.shop.etag)
        if self.shop.says_length:
            self.send_header("Content-Length", str(len(self.shop.content) - start))
        self.end_headers()
        end = self.shop.breaks_after.pop(0) if self.shop.breaks_after else len(self.shop.content)
        self.wfile.write(self.shop.content[start : start + end])

    def wanted_start(self) -> int:
        span = self.headers.get("Range")
        if span is None or self.shop.ignores_range or self.headers.get("If-Range") != self.shop.etag:
            return 0
        return int(span.removeprefix("bytes=").removesuffix("-"))

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def shop() -> Iterator[Shop]:
    """A server on loopback."""
    shop = Shop(content=bytes(range(256)) * 1000)
    handler = type("ShopHandler", (Handler,), {"shop": shop})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        shop.url = f"http://127.0.0.1:{server.server_port}/program"
        yield shop
        server.shutdown()


class Listener(list[Progress]):
    """Remembers all progress."""

    def __call__(self, progress: Progress) -> None:
        self.append(progress)

    @property
    def stages(self) -> list[str]:
        return [progress.stage.name for progress in self]


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def watch(listener: Listener) -> Watch:
    return Watch(30, listener)


@pytest.fixture(scope="session")  # found before a test puts another one into the PATH
def go() -> str:
    """The Go command, or a skip where there is none."""
    return shutil.which("go") or pytest.skip("the command `go` is not installed")


@pytest.fixture
def pause() -> Component:
    """The smallest component: our own, without dependencies."""
    (component,) = our_manifest().select(["pause"])
    return component


@pytest.fixture
def offered(shop: Shop, pause: Component) -> Component:
    """The smallest component, with a download."""
    return replace(pause, download=shop.source())


@pytest.fixture
def store_of(tmp_path: Path) -> Callable[..., Store]:
    """Makes a store of some components, in a folder of the test."""
    return lambda *components: Store(tmp_path / "cache", Manifest(components))


@pytest.fixture
def fake_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a `go` first in the PATH that says the right version and builds as the shell script says."""

    def install(build: str) -> None:
        folder = tmp_path / "fake"
        folder.mkdir(exist_ok=True)
        toolchain = our_manifest().components[0].recipe.toolchain
        script = (
            f'#!/bin/bash\nif [ "$1" = version ]; then echo go version {toolchain} linux/amd64; exit; fi\n{build}\n'
        )
        (folder / "go").write_text(script, encoding="utf-8")
        (folder / "go").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    return install
