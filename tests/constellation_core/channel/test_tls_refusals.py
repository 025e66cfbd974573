# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""TLS that is not what the channel demands, tried with other TLS libraries from both sides.

The standard library's OpenSSL is older than ours and has no X25519MLKEM768: whatever it agrees upon is classical.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from OpenSSL import SSL

from constellation_core.channel.binding import VERSION
from constellation_core.channel.client import attested_channel
from constellation_core.channel.frames import encode_frame
from constellation_core.channel.refusals import Reason
from constellation_core.channel.tls import ALPN, TlsContext, TlsObject, _self_signed, tls_of
from constellation_core.errors import InsecureConnectionError, PeerUnavailableError
from constellation_core.testing.devices import GullibleVerifier
from constellation_core.testing.echo import echo_server
from constellation_core.testing.peers import PREFACE, FakeClient, FakeServer
from constellation_core.testing.watching import until
from constellation_core.testing.wire import Wire, dial, listening
from constellation_proto.attest_pb2 import CODE_ACCEPTED, ClientHello

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from constellation_core.testing.devices import Machines

OPENSSL: Any = SSL._lib  # type: ignore[attr-defined] # the C library itself
HELLO = ClientHello(version=VERSION, nonce=bytes(32))

# What a TLS library can get wrong, as changes of its context.
DEFECTS: dict[str, Callable[[ssl.SSLContext], object]] = {
    "TLS 1.2": lambda context: setattr(context, "maximum_version", ssl.TLSVersion.TLSv1_2),
    "X25519": lambda context: context.set_ecdh_curve("X25519"),
    "P-256": lambda context: context.set_ecdh_curve("prime256v1"),
    "whatever it likes": lambda _context: None,
}
EVERY_DEFECT = pytest.mark.parametrize("spoil", DEFECTS.values(), ids=DEFECTS.keys())
OTHER_PROTOCOLS = pytest.mark.parametrize("protocols", [[b"h2"], [b"constellation-attest/2", b"h2"], []], ids=str)


def classical_client() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols([VERSION])
    return context


@pytest.fixture(scope="session")
def server_pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and its certificate, as other libraries want them."""
    key = ec.generate_private_key(ec.SECP256R1())
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(secret + _self_signed(key, datetime.now(UTC)).public_bytes(Encoding.PEM))
    return path


@pytest.fixture
def classical_server(server_pem: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server_pem)
    context.set_alpn_protocols([VERSION])
    return context


def speaking(protocols: list[bytes]) -> ssl.SSLContext:
    """TLS as it must be, but for its ALPN; a client's, or with a key a server's."""
    context = SSL.Context(SSL.TLS_METHOD)
    if protocols:
        context.set_alpn_protos(protocols)
    return cast("ssl.SSLContext", TlsContext(context))


def answering(server_pem: Path, protocol: bytes) -> ssl.SSLContext:
    context = SSL.Context(SSL.TLS_METHOD)
    context.use_privatekey_file(str(server_pem))
    context.use_certificate_file(str(server_pem))
    if protocol:
        context.set_alpn_select_callback(lambda _connection, _offered: protocol)
    return cast("ssl.SSLContext", TlsContext(context))


@asynccontextmanager
async def openssl(*arguments: object) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the program openssl until the block ends."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("the program openssl is not installed")
    process = await asyncio.create_subprocess_exec(
        program, *map(str, arguments), stdin=PIPE, stdout=PIPE, stderr=DEVNULL
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def refused_by_server(machines: Machines, tls: ssl.SSLContext) -> list[Reason]:
    """Connect, send a good first frame, and see that the server hangs up without a word."""
    async with echo_server(machines.server, machines.verifier) as running:
        try:
            async with dial(running.port, tls=tls) as wire:
                wire.send(HELLO)
                assert await wire.rest() == b""
        except (ssl.SSLError, ConnectionError):
            pass  # the handshake failed already
        recorder = await running.recorder.outcome()
        assert recorder.passed == []
        return recorder.reasons


async def refused_by_client(machines: Machines, tls: ssl.SSLContext, words: str) -> None:
    server = FakeServer(machines.server)
    async with listening(server.meet, tls=tls) as port:
        with pytest.raises((InsecureConnectionError, PeerUnavailableError), match=words):
            async with attested_channel("127.0.0.1", port, verifier=machines.verifier):
                pass
    assert server.heard == []  # not even our nonce


@EVERY_DEFECT
async def test_a_client_with_weaker_tls(plain: Machines, spoil: Callable[[ssl.SSLContext], object]) -> None:
    tls = classical_client()
    spoil(tls)
    reasons = await refused_by_server(plain, tls)
    assert reasons in ([Reason.NOT_TLS], [Reason.PROTOCOL])


@EVERY_DEFECT
async def test_a_server_with_weaker_tls(
    plain: Machines, classical_server: ssl.SSLContext, spoil: Callable[[ssl.SSLContext], object]
) -> None:
    spoil(classical_server)
    await refused_by_client(
        plain, classical_server, "no TLS as|during the TLS handshake|key exchange: expected X25519MLKEM768, got"
    )


@pytest.mark.parametrize("group", ["X25519", "P-256", "P-384", "X448", "MLKEM768", "SecP256r1MLKEM768"])
async def test_a_client_of_our_own_library_with_another_group(plain: Machines, group: str) -> None:
    """A group that is as good is not the one that was agreed upon either."""
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_alpn_protos([ALPN])
    assert OPENSSL.SSL_CTX_set1_curves_list(context._context, group.encode()) == 1
    reasons = await refused_by_server(plain, cast("ssl.SSLContext", TlsContext(context)))
    assert reasons in ([Reason.NOT_TLS], [Reason.PROTOCOL])


@OTHER_PROTOCOLS
async def test_a_client_with_another_protocol(plain: Machines, protocols: list[bytes]) -> None:
    assert await refused_by_server(plain, speaking(protocols)) == [Reason.PROTOCOL]


@pytest.mark.parametrize("protocol", [b"h2", b""], ids=str)
async def test_a_server_with_another_protocol(plain: Machines, server_pem: Path, protocol: bytes) -> None:
    await refused_by_client(plain, answering(server_pem, protocol), "no TLS as|ALPN: expected")


@pytest.mark.parametrize(
    "options", [["-tls1_2"], ["-groups", "X25519"], ["-groups", "P-256"], ["-alpn", "h2"]], ids=str
)
async def test_openssl_s_client(plain: Machines, options: list[str]) -> None:
    async with echo_server(plain.server, plain.verifier) as running:
        talk = ("-connect", f"127.0.0.1:{running.port}", "-alpn", VERSION, "-quiet")
        async with openssl("s_client", *talk, *options) as client:
            said, _ = await client.communicate(encode_frame(HELLO))
        assert said == b""
        recorder = await running.recorder.outcome()
        assert recorder.reasons in ([Reason.NOT_TLS], [Reason.PROTOCOL], [Reason.CLOSED])
        assert recorder.passed == []


@pytest.mark.parametrize("said", [b"GET / HTTP/1.1\r\n\r\n", b"\0" * 64, PREFACE, encode_frame(HELLO)], ids=repr)
async def test_a_client_without_tls(plain: Machines, said: bytes) -> None:
    async with echo_server(plain.server) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(said)
        answer = await reader.read()
        writer.close()
        assert len(answer) <= 7  # an alert, at most
        assert (await running.recorder.outcome()).reasons == [Reason.NOT_TLS]


async def test_a_server_without_tls(plain: Machines) -> None:
    async def speak(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    async with server:
        with pytest.raises(InsecureConnectionError, match="no TLS as constellation-attest/1"):
            async with attested_channel("127.0.0.1", server.sockets[0].getsockname()[1], verifier=plain.verifier):
                pass


class RememberingTls(TlsContext):
    """A client that keeps the session of its last connection, and offers it in the next."""

    def __init__(self) -> None:
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_alpn_protos([ALPN])
        super().__init__(context)
        self.connections: list[SSL.Connection] = []

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
    ) -> TlsObject:
        made = super().wrap_bio(incoming, outgoing, server_side=server_side, server_hostname=server_hostname)
        if self.connections and (session := self.connections[-1].get_session()):
            made._connection.set_session(session)
        self.connections.append(made._connection)
        return made


def resumed(connection: SSL.Connection) -> bool:
    return bool(OPENSSL.SSL_session_reused(connection._ssl))


async def test_a_session_is_never_resumed(plain: Machines) -> None:
    """OpenSSL sends tickets even so; they open nothing, and allow no early data."""
    tls = RememberingTls()
    async with echo_server(plain.server, plain.verifier) as running:
        for _ in range(3):
            async with dial(running.port, tls=cast("ssl.SSLContext", tls)) as wire:
                assert (await FakeClient(plain.client).meet(wire)).code == CODE_ACCEPTED
    session = tls.connections[0].get_session()
    assert session is not None
    assert OPENSSL.SSL_SESSION_get_max_early_data(session._session) == 0
    assert not any(map(resumed, tls.connections))


async def test_the_same_library_does_resume_where_it_may(server_pem: Path) -> None:
    """Otherwise the test above would show nothing."""

    async def talk(wire: Wire) -> None:
        wire.send(await wire.read())

    tls = RememberingTls()
    async with listening(talk, tls=answering(server_pem, ALPN)) as port:
        for _ in range(2):
            async with dial(port, tls=cast("ssl.SSLContext", tls)) as wire:
                wire.send(b"hello")
                assert await wire.read() == b"hello"
    assert list(map(resumed, tls.connections)) == [False, True]


async def session_with_early_data(folder: Path, pem: Path) -> Path:
    """Get a session from a server that allows early data."""
    session = folder / "session.pem"
    session.touch()

    def written() -> bool:
        return "-----END SSL SESSION" in session.read_text(encoding="utf-8")

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    serve = ("-accept", f"127.0.0.1:{port}", "-cert", pem, "-key", pem, "-early_data", "-max_early_data", 16384)
    talk = ("-connect", f"127.0.0.1:{port}", "-alpn", VERSION, "-sess_out", session)
    async with openssl("s_server", *serve, "-alpn", VERSION):
        while not written():
            async with openssl("s_client", *talk) as client:
                await until(lambda: written() or client.returncode is not None)
    return session


async def test_early_data_is_not_read(plain: Machines, server_pem: Path, tmp_path: Path) -> None:
    early = tmp_path / "early"
    early.write_bytes(encode_frame(HELLO))
    session = await session_with_early_data(tmp_path, server_pem)
    async with echo_server(plain.server) as running:
        talk = ("-connect", f"127.0.0.1:{running.port}", "-alpn", VERSION, "-quiet")
        async with openssl("s_client", *talk, "-sess_in", session, "-early_data", early) as client:
            assert client.stdout is not None
            assert await client.stdout.read() == b""
        assert (await running.recorder.outcome()).reasons == [Reason.PROTOCOL]


async def test_our_client_resumes_nothing(plain: Machines, server_pem: Path) -> None:
    server = FakeServer(plain.server)
    finished: list[bool] = []

    async def meet(wire: Wire) -> None:
        await server.meet(wire)
        finished.append(resumed(tls_of(cast("asyncio.Transport", wire._writer.transport))._connection))

    async with listening(meet, tls=answering(server_pem, ALPN)) as port:
        for _ in range(2):
            async with attested_channel("127.0.0.1", port, verifier=GullibleVerifier(plain.verifier)):
                pass
        await until(lambda: len(finished) == 2)
    assert finished == [False, False]
