# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Builds by the real Go command, of our smallest program; and Go commands that are missing, old, slow or broken."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from constellation_engine.components.build import build
from constellation_engine.components.cache import sha256_of
from constellation_engine.components.watch import Watch
from constellation_engine.errors import BuildError, GaveUpError

if TYPE_CHECKING:
    from collections.abc import Callable

    from constellation_engine.components import Component


@pytest.mark.usefixtures("go")
def test_a_build_gives_the_pinned_bytes(pause: Component, tmp_path: Path, watch: Watch) -> None:
    build(pause.recipe, tmp_path / "pause", watch, "pause")
    assert sha256_of(tmp_path / "pause") == pause.recipe.sha256


@pytest.mark.usefixtures("go")
def test_a_build_elsewhere_gives_the_same_bytes(
    pause: Component, tmp_path: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "another place"
    shutil.copytree(pause.recipe.folder, folder)
    subprocess.run(["git", "init", "--quiet", folder], check=True)
    for name, value in {"GOFLAGS": "-v -race", "GOARCH": "arm64", "GOAMD64": "v3", "CGO_ENABLED": "1"}.items():
        monkeypatch.setenv(name, value)
    build(replace(pause.recipe, folder=folder), tmp_path / "pause", watch, "pause")
    assert sha256_of(tmp_path / "pause") == pause.recipe.sha256


@pytest.mark.usefixtures("go")
def test_the_linker_writes_variables(pause: Component, tmp_path: Path, watch: Watch) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "go.mod").write_text("module hello\n\ngo 1.26\n", encoding="utf-8")
    (folder / "main.go").write_text(
        'package main\n\nvar version = "unknown"\n\nfunc main() { print(version) }\n', encoding="utf-8"
    )
    recipe = replace(pause.recipe, folder=folder, package="hello", variables=("main.version=1.2.3",))
    build(recipe, tmp_path / "hello", watch, "hello")
    assert subprocess.run([tmp_path / "hello"], check=True, capture_output=True, text=True).stderr == "1.2.3"


@pytest.mark.usefixtures("go")
def test_tests_of_a_package_become_a_program(pause: Component, tmp_path: Path, watch: Watch) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "go.mod").write_text("module hello\n\ngo 1.26\n", encoding="utf-8")
    text = 'package hello\n\nimport "testing"\n\nfunc TestHello(t *testing.T) { println("tested") }\n'
    (folder / "hello_test.go").write_text(text, encoding="utf-8")
    build(replace(pause.recipe, folder=folder, package="hello", is_test=True), tmp_path / "hello.test", watch, "hello")
    done = subprocess.run([tmp_path / "hello.test"], check=True, capture_output=True, text=True, cwd=tmp_path)
    assert "tested" in done.stderr


@pytest.mark.usefixtures("go")
def test_sources_that_do_not_compile_are_named(pause: Component, tmp_path: Path, watch: Watch) -> None:
    shutil.copytree(pause.recipe.folder, tmp_path / "folder")
    (tmp_path / "folder" / "main.go").write_text("package main\n\nfunc main() { nonsense() }\n", encoding="utf-8")
    with pytest.raises(BuildError, match="undefined: nonsense"):
        build(replace(pause.recipe, folder=tmp_path / "folder"), tmp_path / "pause", watch, "pause")


@pytest.mark.usefixtures("go")
def test_a_module_that_go_sum_does_not_know_is_refused(pause: Component, tmp_path: Path, watch: Watch) -> None:
    shutil.copytree(pause.recipe.folder, tmp_path / "folder")
    with (tmp_path / "folder" / "go.mod").open("a", encoding="utf-8") as file:
        file.write("\nrequire golang.org/x/sys v0.1.0\n")
    (tmp_path / "folder" / "main.go").write_text(
        'package main\n\nimport _ "golang.org/x/sys/unix"\n\nfunc main() {}\n', encoding="utf-8"
    )
    with pytest.raises(BuildError, match=r"missing go.sum entry"):
        build(replace(pause.recipe, folder=tmp_path / "folder"), tmp_path / "pause", watch, "pause")


def test_without_go_we_say_where_to_get_it(
    pause: Component, tmp_path: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError, match="expected the command `go`, found none") as refused:
        build(pause.recipe, tmp_path / "pause", watch, "pause")
    assert "https://go.dev/dl/" in refused.value.hint


def test_a_go_that_cannot_change_its_version_is_refused(
    pause: Component, tmp_path: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "go").write_text("#!/bin/sh\necho go version go1.19.8 linux/amd64\n", encoding="utf-8")
    (tmp_path / "go").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(BuildError, match=f"expected {pause.recipe.toolchain}, got go version go1.19.8"):
        build(pause.recipe, tmp_path / "pause", watch, "pause")


def test_the_last_words_of_a_failed_build_are_told(
    pause: Component, tmp_path: Path, watch: Watch, fake_go: Callable[[str], None]
) -> None:
    fake_go("for i in $(seq 100); do echo line $i >&2; done; exit 1")
    with pytest.raises(BuildError, match=r"`go build` failed: line 96; line 97; line 98; line 99; line 100$"):
        build(pause.recipe, tmp_path / "pause", watch, "pause")


def test_a_build_that_takes_too_long_ends_with_its_compilers(
    pause: Component, tmp_path: Path, fake_go: Callable[[str], None]
) -> None:
    fake_go(f'sleep 600 & echo $! > "{tmp_path}/compiler"; wait')
    with pytest.raises(GaveUpError, match="gave up after 1 s"):
        build(pause.recipe, tmp_path / "pause", Watch(1, lambda _: None), "pause")
    compiler = int((tmp_path / "compiler").read_text(encoding="ascii"))
    while is_running(compiler):  # it was killed, and needs a processor to end
        time.sleep(0.01)


def is_running(process: int) -> bool:
    """Whether a process runs, by proc(5): one that nobody has waited for yet (Z) does not."""
    try:
        status = Path(f"/proc/{process}/stat").read_text(encoding="ascii")
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
