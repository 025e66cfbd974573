# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Download what has a pinned hash, and go on where the last attempt ended (RFC 9110 § 13.1.5 If-Range, § 14 Range).

Whoever serves the bytes is not trusted: they are used if they have the hash, and are removed otherwise.
"""

from __future__ import annotations

import http.client
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NoReturn
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from constellation_engine.components.cache import sha256_of
from constellation_engine.components.watch import Stage
from constellation_engine.errors import DownloadError, HashMismatchError

if TYPE_CHECKING:
    from pathlib import Path

    from constellation_engine.components.component import Download
    from constellation_engine.components.watch import Watch

MAX_SIZE: Final = 1 << 30  # bytes, ten times the largest program: a server cannot fill the disk
ATTEMPTS: Final = 4
RETRY_DELAY: Final = 1.0  # seconds, longer each time
_SILENCE: Final = 15.0  # seconds after which a server that says nothing is given up
_CHUNK: Final = 1 << 20  # bytes
_MIB: Final = 1 << 20
_PASSING: Final = {
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}


class _InterruptedError(Exception):
    """This attempt is over; the next one may do better."""


def download(source: Download, partial: Path, watch: Watch, title: str, *, retry_delay: float = RETRY_DELAY) -> None:
    """Download to a file and check its hash.

    Args:
        source: what to get, from where.
        partial: the file. What it holds already is not asked for again, and what came stays when an attempt fails.
        watch: is told how far it is.
        title: what it is, for people.
        retry_delay: seconds between the first two attempts.

    Raises:
        DownloadError: the server cannot be reached, refuses, or breaks off every time.
        HashMismatchError: it gave other bytes.
        GaveUpError: it took too long.
    """
    partial.parent.mkdir(parents=True, exist_ok=True)
    attempt = _Attempt(source, partial, watch, title)
    for count in range(1, ATTEMPTS + 1):
        try:
            attempt.run()
            break
        except _InterruptedError as reason:
            if count == ATTEMPTS:
                raise DownloadError(f"{source.url}: {reason}", hint="try again: what came so far is kept") from None
            watch.tell(title, Stage.DOWNLOADING, f"{reason}; trying again")
            watch.pause(retry_delay * count, title)
    got = sha256_of(partial)
    attempt.forget()
    if got != source.sha256:
        partial.unlink()
        hint = "the bytes are removed; somebody changed them: do not trust this server, or this network"
        raise HashMismatchError(source.url, expected=source.sha256, got=got, hint=hint)


class _Attempt:
    """One request, and what becomes of its answer."""

    def __init__(self, source: Download, partial: Path, watch: Watch, title: str) -> None:
        self._source = source
        self._partial = partial
        self._validator = partial.with_name(f"{partial.name}.validator")
        self._watch = watch
        self._title = title

    def run(self) -> None:
        if self._size and sha256_of(self._partial) == self._source.sha256:
            return  # somebody was killed after the last byte
        with self._ask() as answer:
            try:
                self._store(answer)
            except (http.client.HTTPException, ConnectionError, TimeoutError):
                raise _InterruptedError(f"the connection broke off after {self._size} bytes") from None

    def forget(self) -> None:
        """Remove what only another attempt would need."""
        self._validator.unlink(missing_ok=True)

    def _discard(self) -> None:
        self._partial.unlink(missing_ok=True)
        self.forget()

    @property
    def _size(self) -> int:
        return self._partial.stat().st_size if self._partial.exists() else 0

    def _ask(self) -> http.client.HTTPResponse:
        """Ask for what is missing, provided that the file on the server is still the one that we began with."""
        headers = {"User-Agent": "constellation"}
        if self._size and self._validator.exists():
            validator = self._validator.read_text(encoding="ascii")
            headers |= {"Range": f"bytes={self._size}-", "If-Range": validator}
        request = Request(self._source.url, headers=headers)  # noqa: S310 - the manifest has http and https only
        timeout = min(_SILENCE, self._watch.remaining(self._title))
        try:
            answer: http.client.HTTPResponse = urlopen(request, timeout=timeout)  # noqa: S310 - the same
        except HTTPError as error:
            self._refused(error)
        except (URLError, http.client.HTTPException, OSError) as error:
            raise DownloadError(f"{self._source.url}: no answer: {getattr(error, 'reason', error)}") from None
        return answer

    def _refused(self, error: HTTPError) -> NoReturn:
        error.close()
        if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            self._discard()  # what we have is not the beginning of what they have
        reason = f"expected status 200, got {error.code} {error.reason}"
        if error.code in _PASSING:
            raise _InterruptedError(reason)
        raise DownloadError(f"{self._source.url}: {reason}")

    def _store(self, answer: http.client.HTTPResponse) -> None:
        start = self._begin(answer)
        total = "?" if answer.length is None else (start + answer.length) // _MIB
        with self._partial.open("ab" if start else "wb") as file:
            while chunk := answer.read1(_CHUNK):  # what is there: a server that drips does not outlast the watch
                self._watch.remaining(self._title)
                file.write(chunk)
                if file.tell() > MAX_SIZE:
                    self._discard()
                    raise DownloadError(f"{self._source.url}: expected at most {MAX_SIZE} bytes, got more")
                self._watch.tell(self._title, Stage.DOWNLOADING, f"{file.tell() // _MIB} of {total} MiB")
        if answer.length:  # what is missing
            raise http.client.IncompleteRead(b"", answer.length)

    def _begin(self, answer: http.client.HTTPResponse) -> int:
        """Give where in the file the answer begins; remember what the next attempt can call this version of it."""
        if answer.status == HTTPStatus.PARTIAL_CONTENT:
            span = answer.headers.get("Content-Range", "")
            if not span.startswith(f"bytes {self._size}-"):
                self._discard()
                raise _InterruptedError(f"expected bytes from {self._size}, got {span!r}")
            return self._size
        self._discard()
        etag = answer.headers.get("ETag", "W/")
        validator = answer.headers.get("Last-Modified", "") if etag.startswith("W/") else etag
        if validator.isprintable() and validator.isascii() and validator:
            self._validator.write_text(validator, encoding="ascii")
        return 0
