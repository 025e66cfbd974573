# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Secrets do not stay in text, in whatever spelling and wherever they stand; what everybody may know stays."""

from __future__ import annotations

import base64
import time
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from constellation_core.keys.secret import Secret
from constellation_engine.support.redaction import REMOVED, Redactor

PEM: Final = (
    ec.derive_private_key(7, ec.SECP256R1())
    .private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    .decode()
)
BODY: Final = PEM.splitlines()[1]
JWT: Final = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzb21lYm9keSJ9.c2lnbmF0dXJlLW9mLWl0"
BOOTSTRAP: Final = "abcdef.0123456789abcdef"
HEX: Final = "8f1c" * 16
BCRYPT: Final = "$2b$10$" + "a" * 53


@pytest.mark.parametrize(
    "text, secret",
    [
        (f"before\n{PEM}after", BODY),
        (f"{PEM}{PEM}", BODY),
        (PEM.replace("\n", "\\n"), BODY),
        (PEM[: len(PEM) // 2], BODY),
        (PEM.partition("\n")[2], BODY),
        (f"client-key-data: {base64.b64encode(PEM.encode()).decode()}", base64.b64encode(PEM.encode()).decode()[60:90]),
        (f"data {base64.b64encode(PEM.encode()).decode()}", base64.b64encode(PEM.encode()).decode()[60:90]),
        ("Authorization: Bearer abcdefgh12345678", "abcdefgh12345678"),
        (f"got {JWT}", JWT),
        (f"kubeadm join --token {BOOTSTRAP} 10.0.0.1", BOOTSTRAP),
        (f"init_secret_hash: {BCRYPT}", BCRYPT),
        (f'"secret": "{HEX}"', HEX),
        (f"master_secret={HEX.upper()}", HEX.upper()),
        (f"measurement-secret: b'{HEX}'", HEX),
        (f'{{\\"stateDiskKey\\": \\"{HEX}\\"}}', HEX),
        (f"psk = {base64.b64encode(bytes(range(32))).decode()}", base64.b64encode(bytes(range(32))).decode()),
        ("password: hunter2", "hunter2"),
        ('"passphrase": "correct horse', "correct"),
    ],
)
def test_a_secret_is_removed(text: str, secret: str) -> None:
    assert secret in text
    redacted = Redactor().redact(text)
    assert secret not in redacted
    assert REMOVED in redacted


@pytest.mark.parametrize(
    "text",
    [
        f"identity: {HEX}",
        f"measurements.4: expected {HEX}, got {HEX}",
        f'"wireguardPublicKey": "{base64.b64encode(bytes(range(32))).decode()}"',
        f"public_key={HEX}",
        f"sha256:{HEX}",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
        f"certificate-authority-data: {base64.b64encode(b'-----BEGIN CERTIFICATE-----' + bytes(40)).decode()}",
        "secretName: key-service-certificate",
        "registry.k8s.io/kube-apiserver.v1.36.4",
        "[    12.345] waiting for a token",
    ],
)
def test_what_everybody_may_know_stays(text: str) -> None:
    assert Redactor().redact(text) == text


@pytest.mark.parametrize("secret", [bytes(range(200, 232)), b"a secret of letters"])
def test_a_known_secret_is_found_in_every_spelling(secret: bytes) -> None:
    redactor = Redactor([Secret(secret)])
    spellings = [
        secret.hex(),
        secret.hex().upper(),
        base64.b64encode(secret).decode(),
        base64.urlsafe_b64encode(secret).decode().rstrip("="),
        *([secret.decode()] if secret.isascii() else []),
    ]
    for spelling in spellings:
        assert redactor.redact(f"x{spelling}x").replace("=", "") == f"x{REMOVED}x"


def test_what_is_known_is_not_shown() -> None:
    assert repr(Redactor([Secret(b"a secret of letters")])) == "Redactor()"


def test_what_is_too_short_to_be_a_secret_is_left() -> None:
    assert Redactor([Secret(b"a")]).redact("a banana") == "a banana"


@given(st.text(), st.text(), st.binary(min_size=8, max_size=64))
def test_around_a_known_secret_anything_may_stand(before: str, after: str, secret: bytes) -> None:
    assert secret.hex() not in Redactor([Secret(secret)]).redact(f"{before}{secret.hex()}{after}")


@given(st.text(alphabet="-=BEGINDPRVATKY key:secrt \n$2b.0aF") | st.text())
def test_any_text_is_taken_and_redacting_twice_is_redacting_once(text: str) -> None:
    once = Redactor().redact(text)
    assert Redactor().redact(once) == once


@pytest.mark.parametrize("unit", ["key", "secret: ", "a", "-----BEGIN ", "eyJ", "password", "abcdef.", " \n"])
def test_long_logs_take_no_longer_than_they_are_long(unit: str) -> None:
    text = unit * (400_000 // len(unit))
    start = time.process_time()
    Redactor().redact(text)
    assert time.process_time() - start < 5
