# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Downloads from a real server that breaks off, changes its mind, lies, or says nothing."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import pytest

from constellation_engine.components import Download, download
from constellation_engine.components.watch import Watch
from constellation_engine.errors import DownloadError, GaveUpError, HashMismatchError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.constellation_engine.components.conftest import Listener, Shop


@pytest.fixture
def partial(tmp_path: Path) -> Path:
    return tmp_path / "partial" / "program"


def fetch(source: Download, partial: Path, watch: Watch) -> None:
    download.download(source, partial, watch, "program 1", retry_delay=0)


def test_bytes_with_the_pinned_hash_arrive(shop: Shop, partial: Path, watch: Watch, listener: Listener) -> None:
    fetch(shop.source(), partial, watch)
    assert partial.read_bytes() == shop.content
    assert set(listener.stages) == {"DOWNLOADING"}


def test_an_interrupted_download_goes_on_where_it_was(shop: Shop, partial: Path, watch: Watch) -> None:
    shop.breaks_after = [1000, 500]
    fetch(shop.source(), partial, watch)
    assert partial.read_bytes() == shop.content
    assert [asked.get("Range") for asked in shop.asked] == [None, "bytes=1000-", "bytes=1500-"]
    assert {asked["If-Range"] for asked in shop.asked[1:]} == {shop.etag}


def test_what_came_before_we_were_killed_is_not_asked_for_again(shop: Shop, partial: Path, watch: Watch) -> None:
    shop.breaks_after = [1000] * download.ATTEMPTS
    with pytest.raises(DownloadError, match="broke off after 4000 bytes"):
        fetch(shop.source(), partial, watch)
    fetch(shop.source(), partial, watch)
    assert shop.asked[-1]["Range"] == "bytes=4000-"
    assert partial.read_bytes() == shop.content


def test_a_whole_file_is_not_asked_for(shop: Shop, partial: Path, watch: Watch) -> None:
    partial.parent.mkdir()
    partial.write_bytes(shop.content)
    fetch(shop.source(), partial, watch)
    assert shop.asked == []


def test_a_server_that_ignores_ranges_begins_again(shop: Shop, partial: Path, watch: Watch) -> None:
    shop.breaks_after, shop.ignores_range = [1000], True
    fetch(shop.source(), partial, watch)
    assert partial.read_bytes() == shop.content
    assert shop.asked[1]["Range"] == "bytes=1000-"


def test_a_file_that_changed_meanwhile_begins_again(shop: Shop, partial: Path, watch: Watch) -> None:
    shop.breaks_after = [1000] * download.ATTEMPTS
    with pytest.raises(DownloadError):
        fetch(shop.source(), partial, watch)
    shop.content, shop.etag = shop.content[::-1], '"second"'
    fetch(shop.source(), partial, watch)
    assert partial.read_bytes() == shop.content


@pytest.mark.parametrize("etag", ["", 'W/"weak"'])
def test_without_a_strong_validator_nothing_is_continued(shop: Shop, partial: Path, watch: Watch, etag: str) -> None:
    shop.breaks_after, shop.etag = [1000], etag
    fetch(shop.source(), partial, watch)
    assert partial.read_bytes() == shop.content
    assert "Range" not in shop.asked[1]


def test_another_range_than_the_one_asked_for_begins_again(shop: Shop, partial: Path, watch: Watch) -> None:
    shop.breaks_after, shop.wrong_range = [1000], True
    fetch(shop.source(), partial, watch)
    assert partial.read_bytes() == shop.content
    assert len(shop.asked) == 3


def test_too_long_a_file_begins_again(shop: Shop, partial: Path, watch: Watch) -> None:
    partial.parent.mkdir()
    partial.write_bytes(shop.content + b"more")
    partial.with_name("program.validator").write_text(shop.etag, encoding="ascii")
    fetch(shop.source(), partial, watch)
    assert partial.read_bytes() == shop.content


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_passing_failure_is_tried_again(shop: Shop, partial: Path, watch: Watch, status: int) -> None:
    shop.statuses = [status]
    fetch(shop.source(), partial, watch)
    assert partial.read_bytes() == shop.content


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refusal_is_final(shop: Shop, partial: Path, watch: Watch, status: int) -> None:
    shop.statuses = [status]
    with pytest.raises(DownloadError, match=f"expected status 200, got {status}"):
        fetch(shop.source(), partial, watch)
    assert len(shop.asked) == 1


def test_other_bytes_are_refused_and_removed(shop: Shop, partial: Path, watch: Watch) -> None:
    wanted = shop.source()
    shop.content = b"malicious" + shop.content
    with pytest.raises(HashMismatchError) as refused:
        fetch(wanted, partial, watch)
    assert (refused.value.file, refused.value.expected, refused.value.got) == (shop.url, wanted.sha256, shop.sha256)
    assert list(partial.parent.iterdir()) == []


def test_a_download_that_ends_early_unnoticed_has_another_hash(shop: Shop, partial: Path, watch: Watch) -> None:
    shop.says_length, shop.breaks_after = False, [1000]
    with pytest.raises(HashMismatchError, match=shop.sha256):
        fetch(shop.source(), partial, watch)


def test_a_server_cannot_fill_the_disk(
    shop: Shop, partial: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "MAX_SIZE", 1000)
    with pytest.raises(DownloadError, match="at most 1000 bytes"):
        fetch(shop.source(), partial, watch)
    assert list(partial.parent.iterdir()) == []


def test_no_server_is_an_error_at_once(partial: Path, watch: Watch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(DownloadError, match=r"no answer: .*refused"):
        fetch(Download(f"http://127.0.0.1:{port}/program", "0" * 64, ""), partial, watch)


def test_a_server_that_says_nothing_is_given_up(partial: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        silent = Download(f"http://127.0.0.1:{server.getsockname()[1]}/program", "0" * 64, "")
        with pytest.raises(DownloadError, match="timed out"):
            fetch(silent, partial, Watch(0.5, lambda _: None))


def test_something_else_than_http_is_an_error(partial: Path, watch: Watch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        odd = Download(f"http://127.0.0.1:{server.getsockname()[1]}/program", "0" * 64, "")
        threading.Thread(target=lambda: answer_oddly(server)).start()
        with pytest.raises(DownloadError, match="no answer"):
            fetch(odd, partial, watch)


def answer_oddly(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.sendall(b"220 mail.example.org ESMTP\r\n")


def test_a_download_ends_with_its_time(shop: Shop, partial: Path) -> None:
    shop.breaks_after = [10] * download.ATTEMPTS
    watch = Watch(0.3, lambda _: None)
    with pytest.raises(GaveUpError, match=r"program 1: gave up after 0.3 s"):
        download.download(shop.source(), partial, watch, "program 1", retry_delay=60)


def test_a_download_that_is_called_off_ends(shop: Shop, partial: Path, watch: Watch) -> None:
    watch.call_off()
    with pytest.raises(GaveUpError, match="called off"):
        fetch(shop.source(), partial, watch)
