# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Mutual TLS with Terraform: each side trusts one certificate, which was made for this one process.

Terraform takes any certificate that is valid now and names `localhost`. Its own is self-signed too, with a P-521 key.
TLS libraries that do not know that curve cannot ask for it, and let anybody in; OpenSSL knows it.
"""

from __future__ import annotations

import os
import ssl
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from terraform_provider_constellation.plugin.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Iterator

_HOST: Final = "localhost"  # the name that go-plugin asks for
_CLOCKS_DIFFER: Final = timedelta(hours=1)
_LIFETIME: Final = timedelta(days=30)  # longer than any apply


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the server shows, and whom it lets in.

    Attributes:
        context: TLS 1.3, HTTP/2, and a client certificate is required.
        certificate: the server's, DER.
    """

    context: ssl.SSLContext
    certificate: bytes

    @classmethod
    def make(cls, client_certificate: str) -> Credentials:
        """Make a new key and certificate.

        Args:
            client_certificate: PEM, the only one to let in.

        Raises:
            StartError: this is no certificate.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _self_signed(key, datetime.now(UTC))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.set_alpn_protocols(["h2"])
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_verify_locations(cadata=client_certificate)
        except (ssl.SSLError, ValueError, TypeError) as error:
            hint = "Terraform sets it by itself; see that nothing else does."
            raise StartError(f"PLUGIN_CLIENT_CERT: expected a certificate in PEM: {error}.", hint=hint) from error
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        with _in_memory(secret + certificate.public_bytes(Encoding.PEM)) as path:
            context.load_cert_chain(path)
        return cls(context, certificate.public_bytes(Encoding.DER))


def _self_signed(key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, _HOST)])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    return (
        builder.not_valid_before(now - _CLOCKS_DIFFER)
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(_HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )


@contextmanager
def _in_memory(content: bytes) -> Iterator[str]:
    """A file that is on no disk: OpenSSL reads keys from files only."""
    descriptor = os.memfd_create("key")
    try:
        os.write(descriptor, content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
