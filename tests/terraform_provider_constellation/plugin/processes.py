# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The zoo as a process, started as Terraform starts it."""

from __future__ import annotations

import base64
import os
import ssl
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from terraform_provider_constellation.plugin.serving.handshake import COOKIE, COOKIE_NAME
from tests.terraform_provider_constellation.plugin.tools import PROGRAM, REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Client:
    """What go-plugin makes for each start: a self-signed certificate with a P-521 key."""

    key: bytes
    certificate: str

    @classmethod
    def make(cls) -> Client:
        key = ec.generate_private_key(ec.SECP521R1())
        name, now = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")]), datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(seconds=30))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA512())
        )
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return cls(secret, certificate.public_bytes(Encoding.PEM).decode())

    def context(self, server: bytes, folder: Path) -> ssl.SSLContext:
        """TLS as Terraform speaks it: the server must show exactly its certificate."""
        pem = folder / "client.pem"
        pem.write_bytes(self.key + self.certificate.encode())
        context = ssl.create_default_context(cadata=ssl.DER_cert_to_PEM_cert(server))
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        context.set_alpn_protocols(["h2"])
        context.load_cert_chain(pem)
        return context


@dataclass(frozen=True, slots=True)
class Started:
    """A provider that has announced itself."""

    process: subprocess.Popen[str]
    line: str

    @property
    def socket(self) -> str:
        """Where it listens."""
        return self.line.split("|")[3]

    @property
    def certificate(self) -> bytes:
        """What it shows, DER."""
        encoded = self.line.split("|")[5]
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4))


def environment(client: Client | None = None, **others: str) -> dict[str, str]:
    """What Terraform puts into the environment."""
    own = {COOKIE_NAME: COOKIE, "PLUGIN_PROTOCOL_VERSIONS": "5,6", "PYTHONPATH": str(REPOSITORY)}
    return {**os.environ, **own, **({"PLUGIN_CLIENT_CERT": client.certificate} if client else {}), **others}


@contextmanager
def started(environment: dict[str, str], *, starter: tuple[str, ...] = ()) -> Iterator[Started]:
    """Start the zoo and read its line; it is killed afterwards."""
    command = (*starter, sys.executable, "-c", PROGRAM)
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            yield Started(process, process.stdout.readline().rstrip("\n"))
        finally:
            process.kill()
