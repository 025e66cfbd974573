# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Only the Terraform that started a provider may speak with it."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

import pytest

from tests.terraform_provider_constellation.plugin.processes import Client, Started, environment, started

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CLIENT = Client.make()
HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5)


@pytest.fixture(scope="module")
def provider() -> Iterator[Started]:
    with started(environment(CLIENT)) as provider:
        yield provider


def answer(provider: Started, context: ssl.SSLContext) -> bytes:
    """First bytes of the server after TLS; in TLS 1.3 a client learns of its refusal when it reads."""
    with socket.socket(socket.AF_UNIX) as plain:
        plain.settimeout(30)
        plain.connect(provider.socket)
        with context.wrap_socket(plain, server_hostname="localhost") as secure:
            assert secure.version() == "TLSv1.3"
            secure.sendall(HTTP2)
            return secure.recv(9)


def is_refused(provider: Started, context: ssl.SSLContext) -> bool:
    """Whether the server closes instead of answering, with a TLS alert or without."""
    try:
        return answer(provider, context) == b""
    except (ssl.SSLError, ConnectionError):
        return True


def test_the_terraform_that_started_it_is_let_in(provider: Started, tmp_path: Path) -> None:
    assert len(answer(provider, CLIENT.context(provider.certificate, tmp_path))) == 9


def test_nobody_without_a_certificate(provider: Started) -> None:
    context = ssl.create_default_context(cadata=ssl.DER_cert_to_PEM_cert(provider.certificate))
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    assert is_refused(provider, context)


def test_nobody_with_another_certificate(provider: Started, tmp_path: Path) -> None:
    assert is_refused(provider, Client.make().context(provider.certificate, tmp_path))


def test_nobody_without_tls(provider: Started) -> None:
    with socket.socket(socket.AF_UNIX) as plain:
        plain.settimeout(30)
        plain.connect(provider.socket)
        plain.sendall(HTTP2)
        received = plain.recv(100)
    assert not received or received[0] == 21  # closed, or a TLS alert first


def test_every_start_has_a_certificate_of_its_own(provider: Started) -> None:
    with started(environment(CLIENT)) as other:
        assert other.certificate != provider.certificate
