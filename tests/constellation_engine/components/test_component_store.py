# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Where a program comes from: the cache, else the download, else the build; and never without the pinned hash."""

from __future__ import annotations

import hashlib
import io
import resource
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from constellation_engine.components import Component, Download, Origin, State, Store
from constellation_engine.components.cache import default_root
from constellation_engine.errors import (
    BuildError,
    CacheError,
    DownloadError,
    HashMismatchError,
    NotCachedError,
    UnknownComponentError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.constellation_engine.components.conftest import Listener, Shop

BUILT: Final = b"built by Go\n"
BUILD: Final = 'echo built by Go > "${@: -2:1}"'  # the last but one word of the command is where to write


@pytest.fixture
def tool(pause: Component) -> Component:
    """A component of Kubernetes, which only a build gives."""
    recipe = replace(pause.recipe, sha256=hashlib.sha256(BUILT).hexdigest())
    return Component("tool", "kubernetes", "1.36.4", recipe, None)


@pytest.fixture
def offered(tool: Component, shop: Shop) -> Component:
    """The same, with a download."""
    return replace(tool, download=shop.source())


@pytest.fixture
def packed(tool: Component, shop: Shop) -> tuple[Component, Component]:
    """Two components in one archive."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name in ("one", "two"):
            entry = tarfile.TarInfo(f"bin/{name}")
            entry.size = len(name)
            tar.addfile(entry, io.BytesIO(name.encode()))
    shop.content = file.getvalue()
    one, two = (replace(tool, name=name, download=shop.source(f"bin/{name}")) for name in ("one", "two"))
    return one, two


def test_a_program_is_downloaded_once(store_of: Callable[..., Store], offered: Component, shop: Shop) -> None:
    store = store_of(offered)
    assert store.fetch() == store.fetch() == {"tool": store.path("tool")}
    assert store.path("tool").read_bytes() == shop.content
    assert store.path("tool").stat().st_mode & 0o777 == 0o755
    assert len(shop.asked) == 1


def test_what_has_no_download_is_built_once(
    store_of: Callable[..., Store], tool: Component, fake_go: Callable[[str], None], listener: Listener
) -> None:
    fake_go(BUILD)
    store = store_of(tool)
    store.fetch(report=listener)
    store.fetch(report=listener)
    assert store.path("tool").read_bytes() == BUILT
    assert store.path("tool").stat().st_mode & 0o777 == 0o755
    assert listener.stages == ["BUILDING", "READY", "CACHED"]


def test_what_cannot_be_downloaded_is_built(
    store_of: Callable[..., Store],
    offered: Component,
    shop: Shop,
    fake_go: Callable[[str], None],
    listener: Listener,
) -> None:
    fake_go(BUILD)
    shop.statuses = [404]
    store = store_of(offered, replace(offered, name="second"))
    store.fetch(report=listener)
    assert store.path("tool").read_bytes() == store.path("second").read_bytes() == BUILT
    assert listener.stages == ["UNREACHABLE", "BUILDING", "READY", "BUILDING", "READY"]
    assert len(shop.asked) == 1  # a server that has nothing is not asked for the next


def test_a_download_with_other_bytes_is_no_reason_to_build(
    store_of: Callable[..., Store], offered: Component, shop: Shop
) -> None:
    shop.content = b"malicious"
    store = store_of(offered)
    with pytest.raises(HashMismatchError, match=shop.url):
        store.fetch()
    with pytest.raises(NotCachedError):
        store.path("tool")


def test_a_build_with_other_bytes_is_refused(
    store_of: Callable[..., Store], tool: Component, fake_go: Callable[[str], None]
) -> None:
    fake_go('echo something else > "${@: -2:1}"')
    store = store_of(tool)
    with pytest.raises(HashMismatchError) as refused:
        store.fetch()
    assert "tool 1.36.4, built from components.internal/pause" in refused.value.file
    assert refused.value.expected == tool.recipe.sha256
    assert refused.value.got == hashlib.sha256(b"something else\n").hexdigest()
    assert [path for path in store.root.rglob("*") if path.is_file() and path.parent.name != "locks"] == []


def test_only_a_build_is_accepted_where_every_machine_needs_the_same_bytes(
    store_of: Callable[..., Store], offered: Component, shop: Shop, fake_go: Callable[[str], None]
) -> None:
    fake_go(BUILD)
    store = store_of(offered)
    store.fetch()
    assert store.fetch(only=Origin.BUILD)["tool"].read_bytes() == BUILT
    assert store.fetch(only=Origin.DOWNLOAD)["tool"].read_bytes() == shop.content


def test_only_a_download_is_refused_where_there_is_none(store_of: Callable[..., Store], tool: Component) -> None:
    with pytest.raises(DownloadError, match=r"tool 1\.36\.4: expected a published hash"):
        store_of(tool).fetch(only=Origin.DOWNLOAD)


def test_only_a_download_does_not_fall_back(store_of: Callable[..., Store], offered: Component, shop: Shop) -> None:
    shop.statuses = [404]
    with pytest.raises(DownloadError, match="404"):
        store_of(offered).fetch(only=Origin.DOWNLOAD)


def test_programs_of_one_archive_need_one_download(
    store_of: Callable[..., Store], packed: tuple[Component, Component], shop: Shop
) -> None:
    store = store_of(*packed)
    assert {name: path.read_text() for name, path in store.fetch().items()} == {"one": "one", "two": "two"}
    store.fetch()
    assert len(shop.asked) == 1
    assert {check.state for check in store.check()} == {State.INTACT}


def test_a_program_of_a_damaged_archive_is_fetched_again(
    store_of: Callable[..., Store], packed: tuple[Component, Component], shop: Shop
) -> None:
    store = store_of(*packed)
    store.fetch()
    (store.root / "archives" / shop.sha256).write_bytes(b"damaged")
    assert {check.state for check in store.check()} == {State.DAMAGED}
    store.fetch()
    assert len(shop.asked) == 2
    assert {check.state for check in store.check()} == {State.INTACT}


def test_an_archive_without_the_program_is_refused(
    store_of: Callable[..., Store], packed: tuple[Component, Component], shop: Shop
) -> None:
    with pytest.raises(DownloadError, match="bin/three"):
        store_of(replace(packed[0], download=shop.source("bin/three"))).fetch(only=Origin.DOWNLOAD)


@pytest.mark.parametrize("damage", [b"", b"\x00", b"malicious"])
def test_a_damaged_program_is_replaced_and_told(
    store_of: Callable[..., Store], offered: Component, shop: Shop, listener: Listener, damage: bytes
) -> None:
    store = store_of(offered)
    store.fetch()
    store.path("tool").write_bytes(damage)
    (check,) = store.check()
    assert (check.state, check.expected, check.got) == (
        State.DAMAGED,
        shop.sha256,
        hashlib.sha256(damage).hexdigest(),
    )
    store.fetch(report=listener)
    assert store.path("tool").read_bytes() == shop.content
    assert listener[0].stage.name == "DAMAGED"
    assert all(word in listener[0].detail for word in (str(check.path), check.expected, check.got))


def test_a_damaged_program_is_not_used_offline(store_of: Callable[..., Store], offered: Component) -> None:
    store = store_of(offered)
    store.fetch()
    store.path("tool").write_bytes(b"damaged")
    with pytest.raises(NotCachedError):
        store.fetch(offline=True)


def test_offline_the_cache_is_enough(
    store_of: Callable[..., Store], offered: Component, monkeypatch: pytest.MonkeyPatch, shop: Shop
) -> None:
    store = store_of(offered)
    store.fetch()
    monkeypatch.setenv("PATH", "/nowhere")
    assert store.fetch(offline=True) == {"tool": store.path("tool")}
    assert len(shop.asked) == 1


def test_offline_nobody_is_asked(store_of: Callable[..., Store], offered: Component, shop: Shop) -> None:
    with pytest.raises(NotCachedError, match=r"tool 1\.36\.4: expected in .*cache, is not there") as refused:
        store_of(offered).fetch(offline=True)
    assert refused.value.hint.endswith("constellation components fetch tool")
    assert shop.asked == []


def test_what_is_absent_is_checked_as_absent(store_of: Callable[..., Store], tool: Component) -> None:
    (check,) = store_of(tool).check()
    assert (check.state, check.path, check.got) == (State.ABSENT, None, "")


def test_a_failure_leaves_what_came_before(
    store_of: Callable[..., Store], offered: Component, tool: Component, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    store = store_of(offered, replace(tool, name="second"))
    with pytest.raises(BuildError):
        store.fetch()
    assert store.path("tool").is_file()


def test_several_versions_live_side_by_side(
    store_of: Callable[..., Store], tool: Component, fake_go: Callable[[str], None]
) -> None:
    fake_go(BUILD)
    store = store_of(tool, replace(tool, version="1.35.8"))
    assert store.fetch(kubernetes="1.35") != store.fetch()
    assert store.path("tool", kubernetes="1.35").parent.name.startswith("tool-1.35.8-")


def test_the_order_is_that_of_the_manifest(
    store_of: Callable[..., Store], tool: Component, fake_go: Callable[[str], None]
) -> None:
    fake_go(BUILD)
    releases = [replace(tool, name=name, release=name) for name in ("d", "b", "a", "c")]
    assert list(store_of(tool, *releases).fetch(["a", "b", "c", "d"])) == ["d", "b", "a", "c"]


def test_unknown_names_are_refused_before_anything_is_fetched(
    store_of: Callable[..., Store], offered: Component, shop: Shop
) -> None:
    store = store_of(offered)
    for ask in (store.path, lambda name: store.fetch(["tool", name]), lambda name: store.check([name])):
        with pytest.raises(UnknownComponentError, match="tol"):
            ask("tol")
    assert shop.asked == []


@pytest.mark.parametrize("root", ["/proc/nowhere", "/dev/null/cache"])
def test_a_folder_that_cannot_be_used_is_named(tool: Component, store_of: Callable[..., Store], root: str) -> None:
    store = Store(Path(root), store_of(tool).manifest)
    with pytest.raises(CacheError, match=root) as refused:
        store.fetch()
    assert "CONSTELLATION_COMPONENTS" in refused.value.hint


def test_a_disk_that_takes_no_more_is_told(store_of: Callable[..., Store], offered: Component) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(CacheError, match="File too large"):
            store_of(offered).fetch()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    "variables, expected",
    [
        ({"CONSTELLATION_COMPONENTS": "/chosen", "XDG_CACHE_HOME": "/xdg"}, "/chosen"),
        ({"CONSTELLATION_COMPONENTS": "", "XDG_CACHE_HOME": "/xdg"}, "/xdg/constellation/components"),
        ({"XDG_CACHE_HOME": "", "HOME": "/home/me"}, "/home/me/.cache/constellation/components"),
    ],
)
def test_the_folder_is_chosen_by_the_environment(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str
) -> None:
    monkeypatch.delenv("CONSTELLATION_COMPONENTS", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert default_root() == Path(expected)


def test_nothing_leaves_the_folder(store_of: Callable[..., Store], offered: Component, shop: Shop) -> None:
    store = store_of(offered)
    store.fetch()
    files = sorted(path.relative_to(store.root).as_posix() for path in store.root.rglob("*") if path.is_file())
    assert files == ["locks/tool-1.36.4", f"tool-1.36.4-{shop.sha256[:16]}/tool"]


def test_a_pin_of_an_archive_decides(store_of: Callable[..., Store], offered: Component, shop: Shop) -> None:
    """A new pin is another program: the old one stays for whoever pins it, and is not taken for the new one."""
    store = store_of(offered)
    old = store.fetch()["tool"]
    shop.content += b"newer"
    newer = store_of(replace(offered, download=Download(shop.url, shop.sha256, "")))
    assert newer.fetch()["tool"] != old
    assert store.fetch(offline=True)["tool"] == old
