# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The network part, against a server on the loopback interface that behaves badly."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from attestation.errors import EndorsementError
from attestation.snp.kds import MAX_SIZE, Answer
from attestation.snp.kds_transport import HttpsTransport

if TYPE_CHECKING:
    from collections.abc import Iterator

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"
LARGE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (MAX_SIZE + 1) + bytes(MAX_SIZE + 1)
BUSY = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 12\r\nContent-Length: 0\r\n\r\n"
MISSING = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
ELSEWHERE = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


@contextmanager
def server(response: bytes, requests: list[bytes] | None = None) -> Iterator[str]:
    """Answer one connection with these bytes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                request = connection.recv(65536)
                if requests is not None:
                    requests.append(request)
                connection.sendall(response)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(10)


def test_an_answer_is_carried() -> None:
    requests: list[bytes] = []
    with server(OK, requests) as address:
        assert HttpsTransport(address).get("/vcek/v1/Milan/crl") == Answer(200, b"body")
    assert requests[0].startswith(b"GET /vcek/v1/Milan/crl HTTP/1.1\r\n")


def test_a_refusal_is_an_answer() -> None:
    with server(BUSY) as address:
        assert HttpsTransport(address).get("/x") == Answer(429, retry_after="12")
    with server(MISSING) as address:
        assert HttpsTransport(address).get("/x") == Answer(404)


def test_a_redirect_is_not_followed() -> None:
    with server(ELSEWHERE) as address:
        assert HttpsTransport(address).get("/x") == Answer(302)


def test_an_answer_that_is_too_large_is_refused() -> None:
    with server(LARGE) as address, pytest.raises(EndorsementError, match=f"more than {MAX_SIZE}"):
        HttpsTransport(address).get("/x")


@pytest.mark.parametrize("response", [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200])
def test_an_answer_that_is_none_is_refused(response: bytes) -> None:
    with server(response) as address, pytest.raises(EndorsementError, match="cannot be reached"):
        HttpsTransport(address).get("/x")


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(EndorsementError, match=f"127.0.0.1:{port} cannot be reached") as refused:
        HttpsTransport(f"http://127.0.0.1:{port}").get("/x")
    assert "network" in refused.value.hint


def test_a_server_that_says_nothing_is_left() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        transport = HttpsTransport(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=0.05)
        with pytest.raises(EndorsementError, match="timed out"):
            transport.get("/x")


def test_a_server_without_tls_is_refused() -> None:
    with server(OK) as address, pytest.raises(EndorsementError, match="cannot be reached"):
        HttpsTransport(address.replace("http:", "https:")).get("/x")


@pytest.mark.parametrize("host", ["localhost:80", "127.0.0.1", "[::1]:8080"])
def test_plain_http_is_for_the_loopback_interface(host: str) -> None:
    assert HttpsTransport(f"http://{host}/").host == host


@pytest.mark.parametrize(
    "address",
    ["http://kdsintf.amd.com", "http://10.0.0.1", "ftp://127.0.0.1", "file:///etc/passwd", "kdsintf.amd.com", "",
     "https://", "https://[::1", "https://kds.example/path", "https://kds.example?x", "http://127.0.0.1.example"],
)  # fmt: skip
def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(EndorsementError, match="not the address of a KDS"):
        HttpsTransport(address)


def test_the_service_is_amds() -> None:
    assert HttpsTransport().host == "kdsintf.amd.com"
