# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation components`: what it prints, what it refuses, how it ends."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Final

import pytest
import yaml

from constellation_cli.components.reporter import INTERVAL, Line, Lines
from constellation_engine.components import Origin, Progress, Stage, our_manifest
from constellation_engine.components.cache import Cache

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

Run = "Callable[..., Result]"
COMMANDS: Final = ("list", "fetch", "verify", "path")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    monkeypatch.setenv("CONSTELLATION_COMPONENTS", str(tmp_path))
    return Cache(tmp_path)


@pytest.fixture
def pause(cache: Cache) -> Path:
    """A program in the cache that is not what was pinned."""
    (component,) = our_manifest().select(["pause"])
    place = cache.program(component, Origin.BUILD)
    place.parent.mkdir()
    place.write_bytes(b"damaged")
    return place


@pytest.mark.usefixtures("cache")
def test_list_shows_every_component(constellation: Callable[..., Result]) -> None:
    record = json.loads(constellation("components", "list", "-o", "json").stdout)
    assert (record["version"], record["kubernetes"]) == (1, our_manifest().version())
    assert record["supported"] == list(our_manifest().kubernetes)
    names = [component.name for component in our_manifest().select()]
    assert [entry["name"] for entry in record["components"]] == names
    assert {entry["path"] for entry in record["components"]} == {""}


def test_list_says_where_a_program_is(constellation: Callable[..., Result], pause: Path) -> None:
    assert str(pause) in constellation("components", "list", "--kubernetes", "1.34").stdout


def test_path_is_one_line(constellation: Callable[..., Result], pause: Path) -> None:
    assert constellation("components", "path", "pause").stdout == f"{pause}\n"


def test_path_is_a_record(constellation: Callable[..., Result], pause: Path) -> None:
    record = yaml.safe_load(constellation("components", "path", "pause", "-o", "yaml").stdout)
    assert record == {"version": 1, "paths": {"pause": str(pause)}}


@pytest.mark.usefixtures("cache")
def test_path_of_what_is_not_there_says_how_to_get_it(constellation: Callable[..., Result]) -> None:
    result = constellation("components", "path", "etcd")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "hint: run: constellation components fetch etcd\n" in result.stderr


def test_verify_names_file_expected_and_got(constellation: Callable[..., Result], pause: Path) -> None:
    result = constellation("components", "verify")
    assert result.exit_code == 2
    (component,) = our_manifest().select(["pause"])
    assert f"differs: {pause}: expected sha256 {component.recipe.sha256}, got " in result.stderr


@pytest.mark.usefixtures("cache")
def test_verify_of_an_empty_cache_is_in_order(constellation: Callable[..., Result]) -> None:
    result = constellation("components", "verify", "-o", "json")
    assert result.exit_code == 0
    assert {entry["state"] for entry in json.loads(result.stdout)["components"]} == {"absent"}


@pytest.mark.usefixtures("cache")
def test_verify_of_what_is_named_and_absent_is_not_in_order(constellation: Callable[..., Result]) -> None:
    assert constellation("components", "verify", "etcd").exit_code == 2


@pytest.mark.skipif(shutil.which("go") is None, reason="the command `go` is not installed")
def test_fetch_replaces_what_is_damaged(constellation: Callable[..., Result], pause: Path) -> None:
    fetched = constellation("components", "fetch", "pause", "-o", "json")
    assert json.loads(fetched.stdout)["paths"] == {"pause": str(pause)}
    assert f"pause 1.0.0: damaged in the cache, removed {pause}: expected sha256" in fetched.stderr
    assert constellation("components", "verify", "pause").exit_code == 0
    assert constellation("components", "fetch", "pause", "--offline").stderr == ""


@pytest.mark.usefixtures("cache")
def test_fetch_offline_says_what_is_missing(constellation: Callable[..., Result]) -> None:
    result = constellation("components", "fetch", "etcd", "--offline")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: etcd 3.6.16: expected in ")


@pytest.mark.usefixtures("cache")
def test_fetch_without_go_says_where_to_get_it(
    constellation: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    result = constellation("components", "fetch", "pause")
    assert result.exit_code == 1
    assert "expected the command `go`, found none\nhint: install Go" in result.stderr


def test_fetch_ends_with_its_time(
    constellation: Callable[..., Result], cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cache.root == tmp_path
    (tmp_path / "go").write_text("#!/bin/bash\nexec sleep 600\n", encoding="utf-8")
    (tmp_path / "go").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    result = constellation("components", "fetch", "pause", "--timeout", "1")
    assert result.exit_code == 1
    assert "pause 1.0.0: gave up after 1 s\nhint: try again with more time (--timeout)" in result.stderr


@pytest.mark.parametrize(
    "words, said",
    [
        (("fetch", "kubelt"), "there is no component 'kubelt'; did you mean kubelet?"),
        (("verify", "zzz"), "choose from kube-apiserver"),
        (("path",), "Missing argument 'NAME...'"),
        (("list", "--kubernetes", "1.20"), "there is no Kubernetes '1.20' here; choose one of 1.36"),
        (("fetch", "--only", "magic"), "expected download or build, got 'magic'"),
        (("fetch", "--timeout", "0"), "not in the range"),
    ],
)
def test_wrong_words_are_explained(constellation: Callable[..., Result], words: tuple[str, ...], said: str) -> None:
    result = constellation("components", *words)
    assert result.exit_code == 64
    assert said in result.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_another_cache_can_be_named(constellation: Callable[..., Result], tmp_path: Path, command: str) -> None:
    options = ["--offline"] if command == "fetch" else []
    result = constellation(
        "components", command, *(["pause"] if command != "list" else []), *options, "--cache", tmp_path
    )
    assert str(tmp_path) in result.output or command in {"list", "verify"}


class Clock:
    """A clock that stands until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def building(seconds: int) -> Progress:
    return Progress("etcd 3", Stage.BUILDING, f"{seconds} s")


def test_a_short_fetch_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines(Clock())
    for progress in (
        building(0),
        building(1),
        Progress("etcd 3", Stage.READY, ""),
        Progress("ctr 2", Stage.CACHED, ""),
    ):
        lines.tell(progress)
    assert capsys.readouterr().err == ""


def test_a_long_fetch_says_now_and_then_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    lines = Lines(clock)
    for second in range(30):
        clock.now = float(second)
        lines.tell(building(second))
    lines.tell(Progress("etcd 3", Stage.READY, ""))
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "components: etcd 3: building, 2 s",
        f"components: etcd 3: building, {2 + INTERVAL:.0f} s",
        f"components: etcd 3: building, {2 + 2 * INTERVAL:.0f} s",
        "components: etcd 3: ready",
    ]


@pytest.mark.parametrize("stage", [Stage.DAMAGED, Stage.UNREACHABLE])
def test_bad_news_is_told_at_once(capsys: pytest.CaptureFixture[str], stage: Stage) -> None:
    for teller in (Lines(Clock()), Line(lambda _: None)):
        teller.tell(Progress("etcd 3", stage, "why"))
        assert capsys.readouterr().err == f"components: etcd 3: {stage}, why\n"


def test_the_line_of_a_terminal_shows_what_happens_now() -> None:
    shown: list[str] = []
    line = Line(shown.append)
    for progress in (building(1), Progress("ctr 2", Stage.DOWNLOADING, ""), Progress("etcd 3", Stage.READY, "")):
        line.tell(progress)
    assert shown == ["etcd 3: building, 1 s", "etcd 3: building, 1 s; ctr 2: downloading", "ctr 2: downloading"]
