# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""TLS 1.3 for the attested channel: pyOpenSSL under asyncio.

The standard library has no exporter (RFC 8446, section 7.5), so asyncio runs its TLS protocol on our object instead of
an `ssl.SSLObject`. asyncio uses no more of one than what `TlsObject` has.

What holds of every connection: `facts` checks 1 to 3, and no context keeps what 4 would need.

1. TLS 1.3 (attack: downgrade to a version without exporter).
2. Key exchange X25519MLKEM768 (attack: traffic recorded today is read by a quantum computer later).
3. ALPN constellation-attest/1 (attack: another protocol's traffic is redirected here).
4. No ticket, no resumption, no early data (attack: a connection that inherits another one's keys).

The server's certificate is self-signed and nobody checks it: its key is part of what evidence signs.
"""

from __future__ import annotations

import ssl
from asyncio.sslproto import SSLProtocol
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from constellation_core.channel.binding import EXPORTER_LABEL, EXPORTER_SIZE, VERSION, TlsFacts
from constellation_core.errors import InsecureConnectionError

if TYPE_CHECKING:
    from asyncio import Transport
    from collections.abc import Callable

ALPN: Final = VERSION.encode()
KEY_EXCHANGE: Final = "X25519MLKEM768"
KEY_LIFETIME: Final = timedelta(hours=1)

_CLOCK_SKEW: Final = timedelta(days=1)  # of nodes whose clocks are not set yet
_READ_SIZE: Final = 64 * 1024

_Result = TypeVar("_Result")

# asyncio gives every TLS connection a buffer for reading, 256 KiB and all of it zeroed: more than anybody sends here at
# once, and a thousand nodes that join would cost 256 MiB.
SSLProtocol.max_size = 16 * 1024


class TlsObject:
    """One TLS connection over two memory buffers, with the methods of `ssl.SSLObject` that asyncio calls."""

    def __init__(self, connection: SSL.Connection, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
        self._connection = connection
        self._incoming = incoming
        self._outgoing = outgoing

    def do_handshake(self) -> None:
        """Go on with the handshake."""
        self._step(self._connection.do_handshake)
        self._give()

    def read(self, size: int = _READ_SIZE, buffer: memoryview | None = None) -> bytes | int:
        """Read what was decrypted; as the standard library does, into a buffer if there is one."""
        try:
            data = self._step(partial(self._connection.recv, size))
        except ssl.SSLZeroReturnError:
            data = b""
        if buffer is None:
            return data
        buffer[: len(data)] = data
        return len(data)

    def write(self, data: bytes | memoryview) -> int:
        """Encrypt some bytes; return how many were taken."""
        taken = self._step(partial(self._connection.send, bytes(data)))
        self._give()
        return taken

    def unwrap(self) -> None:
        """Say goodbye, and do not wait for the peer's."""
        with suppress(SSL.Error):
            self._connection.shutdown()
        self._give()

    def getpeercert(self) -> dict[str, Any]:
        """Give nothing: nobody trusts certificates here."""
        return {}

    def cipher(self) -> tuple[str | None, str | None, int | None]:
        """Give name, TLS version and key length of the cipher."""
        connection = self._connection
        return connection.get_cipher_name(), connection.get_cipher_version(), connection.get_cipher_bits()

    def compression(self) -> None:
        """Say that nothing is compressed: TLS 1.3 has no compression."""

    def facts(self, own_key: bytes | None = None) -> TlsFacts:
        """Check the connection, and give what evidence is bound to.

        Args:
            own_key: the server's public key, on the server's side; the client takes it from the handshake.

        Raises:
            InsecureConnectionError: the connection is not what the protocol demands.
        """
        connection = self._connection
        # 1, 2, 3
        for what, expected, got in (
            ("TLS version", "TLSv1.3", connection.get_protocol_version_name()),
            ("key exchange", KEY_EXCHANGE, connection.get_group_name()),
            ("ALPN", VERSION, connection.get_alpn_proto_negotiated().decode("ascii", "backslashreplace")),
        ):
            if got != expected:
                raise InsecureConnectionError(f"{what}: expected {expected}, got {got or 'none'}")
        exporter = connection.export_keying_material(EXPORTER_LABEL, EXPORTER_SIZE, b"")
        return TlsFacts(exporter, own_key or self._key_of_peer())

    def _key_of_peer(self) -> bytes:
        try:
            certificate = self._connection.get_peer_certificate(as_cryptography=True)
            if certificate is not None:
                return public_key_of(certificate)
        except (ValueError, UnsupportedAlgorithm):
            pass
        raise InsecureConnectionError("the server has no certificate that can be read")

    def _step(self, operation: Callable[[], _Result]) -> _Result:
        """Let OpenSSL do something with what has come."""
        if data := self._incoming.read():
            self._connection.bio_write(data)
        try:
            return operation()
        except SSL.Error as error:
            self._give()
            raise _as_asyncio_knows(error) from None

    def _give(self) -> None:
        """Pass on what OpenSSL wants to send."""
        size = _READ_SIZE
        with suppress(SSL.WantReadError):
            while size == _READ_SIZE:
                size = self._outgoing.write(self._connection.bio_read(_READ_SIZE))


def _as_asyncio_knows(error: SSL.Error) -> ssl.SSLError:
    if isinstance(error, SSL.WantReadError):
        return ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "more bytes are needed")
    if isinstance(error, SSL.ZeroReturnError):
        return ssl.SSLZeroReturnError(ssl.SSL_ERROR_ZERO_RETURN, "the peer closed the connection")
    if isinstance(error, SSL.SysCallError):
        return ssl.SSLEOFError(ssl.SSL_ERROR_EOF, f"the connection ended: {error}")
    reasons = error.args[0] if error.args else []
    told = "; ".join(str(reason[-1]) for reason in reasons) if isinstance(reasons, list) else str(error)
    return ssl.SSLError(ssl.SSL_ERROR_SSL, told)


class TlsContext:
    """What asyncio takes for an `ssl.SSLContext`."""

    def __init__(self, context: SSL.Context) -> None:
        self._context = context

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,  # noqa: ARG002 - evidence is the identity, names are not
    ) -> TlsObject:
        """Make the TLS side of a new connection."""
        connection = SSL.Connection(self._context, None)
        if server_side:
            connection.set_accept_state()
        else:
            connection.set_connect_state()
        return TlsObject(connection, incoming, outgoing)


def _for_asyncio(context: SSL.Context) -> ssl.SSLContext:
    return cast("ssl.SSLContext", TlsContext(context))  # it has what asyncio uses of one


class ServerKey:
    """The key of a server, made in this process and for one hour.

    Attributes:
        public_key: SubjectPublicKeyInfo, DER.
        context: for asyncio.
        expires: when to make another one, aware UTC.
    """

    def __init__(self, now: datetime) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _self_signed(key, now)
        context = _context()
        context.use_certificate(certificate)
        context.use_privatekey(key)
        context.set_alpn_select_callback(_select_alpn)
        self.public_key = public_key_of(certificate)
        self.context = _for_asyncio(context)
        self.expires = now + KEY_LIFETIME


class ServerKeys:
    """Gives the current key of a server, and makes a new one every hour."""

    def __init__(self) -> None:
        self._current: ServerKey | None = None

    def current(self, now: datetime | None = None) -> ServerKey:
        """Give the key for a new connection."""
        now = now or datetime.now(UTC)
        if self._current is None or not now < self._current.expires:
            self._current = ServerKey(now)
        return self._current


@cache
def client_context() -> ssl.SSLContext:
    """Give the context of clients. Evidence is what they believe; they check no certificate, and keep no session."""
    context = _context()
    context.set_alpn_protos([ALPN])
    context.set_verify(SSL.VERIFY_NONE)
    return _for_asyncio(context)


def tls_of(transport: Transport) -> TlsObject:
    """Give the TLS side of a transport that runs on one of our contexts."""
    tls = transport.get_extra_info("ssl_object")
    if not isinstance(tls, TlsObject):
        raise InsecureConnectionError("the transport has no attested TLS")
    return tls


def public_key_of(certificate: x509.Certificate) -> bytes:
    """Give the public key of a certificate: SubjectPublicKeyInfo, DER."""
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _context() -> SSL.Context:
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_3_VERSION)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION)
    return context


def _select_alpn(_connection: SSL.Connection, offered: list[bytes]) -> Any:  # noqa: ANN401 - bytes, or a private marker
    return ALPN if ALPN in offered else SSL.NO_OVERLAPPING_PROTOCOLS


def _self_signed(key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "constellation")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - _CLOCK_SKEW).not_valid_after(now + _CLOCK_SKEW)
    return builder.sign(key, SHA256())
