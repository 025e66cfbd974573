# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Several processes fetch the same program at once; some of them are killed or interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from constellation_engine.components import Store
from constellation_engine.components.cache import Cache
from constellation_engine.components.watch import Watch
from constellation_engine.errors import GaveUpError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.constellation_engine.components.conftest import Listener

FETCH: Final = """
import signal
from constellation_engine.components import Store
signal.signal(signal.SIGINT, signal.default_int_handler)  # who runs these tests in the background may ignore it
print(Store().fetch(["pause"])["pause"])
"""
COUNTING: Final = 'echo built >> "{log}"; exec "{go}" "$@"'
HANGING: Final = 'echo half > "${{@: -2:1}}"; echo $$ > "{fifo}"; exec sleep 600'


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The store that processes of this test use."""
    monkeypatch.setenv("CONSTELLATION_COMPONENTS", str(tmp_path / "cache"))
    return Store()


@pytest.fixture
def hanging_go(tmp_path: Path, fake_go: Callable[[str], None]) -> Path:
    """A Go that writes half a program and then hangs; the queue gives its process id as soon as it does."""
    queue = tmp_path / "queue"
    os.mkfifo(queue)
    fake_go(HANGING.format(fifo=queue))
    return queue


def start_fetch() -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", FETCH], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def files_of(store: Store) -> list[Path]:
    return [path for path in store.root.rglob("*") if path.is_file() and path.parent.name != "locks"]


def test_two_processes_at_once_build_once(
    store: Store, tmp_path: Path, go: str, fake_go: Callable[[str], None]
) -> None:
    log = tmp_path / "log"
    fake_go(COUNTING.format(log=log, go=go))
    with start_fetch() as first, start_fetch() as second:
        found = {process.communicate(timeout=50)[0] for process in (first, second)}
    assert found == {f"{store.path('pause')}\n"}
    assert log.read_text(encoding="utf-8") == "built\n"


def test_threads_of_one_process_build_once(
    store: Store, tmp_path: Path, go: str, fake_go: Callable[[str], None]
) -> None:
    log = tmp_path / "log"
    fake_go(COUNTING.format(log=log, go=go))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: store.fetch(["pause"])["pause"], range(4)))
    assert set(found) == {store.path("pause")}
    assert log.read_text(encoding="utf-8") == "built\n"


def test_a_killed_build_leaves_no_half_program(
    store: Store, hanging_go: Path, go: str, fake_go: Callable[[str], None]
) -> None:
    with start_fetch() as process:
        compiler = int(hanging_go.read_text(encoding="ascii"))  # waits for the build to hang
        process.kill()
    os.kill(compiler, signal.SIGKILL)
    (half,) = files_of(store)
    assert half.name.startswith(".pause.")
    assert not (half.parent / "pause").exists()
    fake_go(f'exec "{go}" "$@"')
    assert files_of(Store()) != []
    assert store.fetch(["pause"])["pause"].is_file()
    assert files_of(store) == [store.path("pause")]


def test_an_interrupted_build_ends_its_compilers(store: Store, hanging_go: Path) -> None:
    with start_fetch() as process:
        compiler = int(hanging_go.read_text(encoding="ascii"))
        process.send_signal(signal.SIGINT)
        assert "KeyboardInterrupt" in process.communicate(timeout=30)[1]
    assert not Path(f"/proc/{compiler}").exists()
    assert files_of(store) == []


def test_who_waits_for_another_process_says_so_and_gives_up_in_time(tmp_path: Path, listener: Listener) -> None:
    cache = Cache(tmp_path)
    with (
        cache.locked("tool-1", Watch(30, listener), "tool 1"),
        pytest.raises(GaveUpError, match=r"tool 1: gave up after 0.3 s"),
        cache.locked("tool-1", Watch(0.3, listener), "tool 1"),
    ):
        pytest.fail("two hold one lock")
    assert set(listener.stages) == {"WAITING"}


def test_a_lock_ends_with_its_block(tmp_path: Path, watch: Watch, listener: Listener) -> None:
    for _ in range(2):
        with Cache(tmp_path).locked("tool-1", watch, "tool 1"):
            pass
    assert listener == []
