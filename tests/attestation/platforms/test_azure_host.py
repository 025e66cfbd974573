# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The metadata service of Azure's host: untrusted, bounded, and clear about what is wrong."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest

from attestation import Variant
from attestation.azure.metadata import (
    CERTIFICATES_PATH,
    MAX_ANSWER,
    QUOTE_PATH,
    HostMetadata,
    amd_certificates,
    td_quote,
)
from attestation.errors import EndorsementError
from attestation.testing.azure import FakeAzureHost
from attestation.testing.node import FakeNode

if TYPE_CHECKING:
    from collections.abc import Iterator

TD_REPORT = bytes(1024)


def answering(path: str, answer: bytes) -> FakeAzureHost:
    return FakeAzureHost(answers={path: answer})


def test_certificates_come_leaf_first() -> None:
    node = FakeNode(Variant.AZURE_SEV_SNP)
    first, *chain = amd_certificates(node.host)
    assert len(chain) == 2
    assert chain == list(node.snp.certificates()[1:])
    assert first.startswith(b"\x30\x82")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"not json",
        b"[]",
        b"{}",
        b'{"vcekCert": 1, "certificateChain": ""}',
        b'{"vcekCert": "", "certificateChain": ""}',
        b'{"vcekCert": "-----BEGIN CERTIFICATE-----\\n!\\n-----END CERTIFICATE-----", "certificateChain": ""}',
        b"[" * 5000,
    ],
)
def test_an_answer_without_certificates_is_refused(answer: bytes) -> None:
    with pytest.raises(EndorsementError, match=CERTIFICATES_PATH):
        amd_certificates(answering(CERTIFICATES_PATH, answer))


@pytest.mark.parametrize("answer", [b"", b"{}", b'{"quote": 7}', b'{"quote": "!!"}', b'{"quote": "A"}'])
def test_an_answer_without_a_quote_is_refused(answer: bytes) -> None:
    with pytest.raises(EndorsementError, match=QUOTE_PATH):
        td_quote(answering(QUOTE_PATH, answer), TD_REPORT)


class Handler(BaseHTTPRequestHandler):
    """Answers what its path says, and shows what it was asked."""

    def do_GET(self) -> None:
        match self.path:
            case "/large":
                self._answer(200, bytes(MAX_ANSWER + 1))
            case "/missing":
                self._answer(404, b"")
            case "/broken":
                self.wfile.write(b"this is not HTTP\r\n\r\n")
            case _:
                self._answer(200, json.dumps({"path": self.path, "metadata": self.headers["Metadata"]}).encode())

    def do_POST(self) -> None:
        self._answer(200, self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@contextmanager
def serving() -> Iterator[HostMetadata]:
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield HostMetadata(f"http://127.0.0.1:{server.server_port}", timeout=5)
        finally:
            server.shutdown()
            thread.join()


def test_the_header_that_the_host_demands_is_sent() -> None:
    with serving() as host:
        assert json.loads(host.get("/metadata/x")) == {"path": "/metadata/x", "metadata": "true"}


def test_a_body_is_sent() -> None:
    with serving() as host:
        assert host.post("/acc/x", b'{"report": ""}') == b'{"report": ""}'


@pytest.mark.parametrize("path, reason", [("/large", "more than"), ("/missing", "404"), ("/broken", "does not answer")])
def test_bad_answers_are_refused(path: str, reason: str) -> None:
    with serving() as host, pytest.raises(EndorsementError, match=reason):
        host.get(path)


def test_a_host_that_is_not_there_is_said() -> None:
    with pytest.raises(EndorsementError, match="does not answer") as caught:
        HostMetadata("http://127.0.0.1:9", timeout=5).get("/x")
    assert "Azure" in caught.value.hint
