# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The cluster's authority certifies clients and servers that OpenSSL and Kubernetes accept, and nothing weak."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from constellation_core.cluster_authority import ClusterAuthority
from constellation_core.errors import AuthorityError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

AuthorityKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
YEAR = timedelta(days=365)
DAY = timedelta(days=1)
NODE = x509.Name(
    [
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
        x509.NameAttribute(NameOID.COMMON_NAME, "system:node:worker-0"),
    ]
)
RSA = rsa.generate_private_key(65537, 2048)
ECDSA = ec.generate_private_key(ec.SECP256R1())
KEYS: dict[str, AuthorityKey] = {"RSA-2048": RSA, "P-256": ECDSA, "P-384": ec.generate_private_key(ec.SECP384R1())}
SUBJECT_KEY = ec.generate_private_key(ec.SECP256R1()).public_key()


def usage(*, signs_certificates: bool) -> x509.KeyUsage:
    names = ("content_commitment", "data_encipherment", "key_agreement", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=True,
        key_cert_sign=signs_certificates,
        **dict.fromkeys(names, False),
    )


def certificate_of(key: AuthorityKey, *extensions: x509.ExtensionType, until: datetime = NOW + 10 * YEAR) -> bytes:
    """Make a certificate as kubeadm does."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 0x1234, NOW - YEAR, until)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=not isinstance(extension, x509.SubjectKeyIdentifier))
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(Encoding.PEM)


def authority_certificate(key: AuthorityKey, until: datetime = NOW + 10 * YEAR) -> bytes:
    constraints = x509.BasicConstraints(ca=True, path_length=None)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return certificate_of(key, constraints, usage(signs_certificates=True), identifier, until=until)


def write(folder: Path, key: AuthorityKey, certificate: bytes) -> Path:
    (folder / "ca.crt").write_bytes(certificate)
    (folder / "ca.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (folder / "ca.key").chmod(0o600)
    return folder


@pytest.fixture(params=KEYS)
def authority(request: pytest.FixtureRequest, tmp_path: Path) -> ClusterAuthority:
    key = KEYS[request.param]
    return ClusterAuthority.load(write(tmp_path, key, authority_certificate(key)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path, ECDSA, authority_certificate(ECDSA))


def client_certificate(authority: ClusterAuthority, key: object = SUBJECT_KEY) -> x509.Certificate:
    return authority.issue_client_certificate(key, NODE, at=NOW, lifetime=DAY)


def serving_certificate(authority: ClusterAuthority) -> x509.Certificate:
    names = ["key-service.constellation-system.svc", "10.96.0.9", "fd00::9"]
    return authority.issue_serving_certificate(SUBJECT_KEY, names, at=NOW, lifetime=DAY)


def verify(tmp_path: Path, certificate: x509.Certificate, *options: str) -> str:
    """Have OpenSSL verify it strictly."""
    (tmp_path / "leaf.crt").write_bytes(certificate.public_bytes(Encoding.PEM))
    command = ["openssl", "verify", "-x509_strict", "-attime", str(int(NOW.timestamp())), *options]
    files = ["-CAfile", str(tmp_path / "ca.crt"), str(tmp_path / "leaf.crt")]
    return subprocess.run([*command, *files], check=False, capture_output=True, text=True).stdout


def test_openssl_accepts_a_client(authority: ClusterAuthority, tmp_path: Path) -> None:
    assert verify(tmp_path, client_certificate(authority), "-purpose", "sslclient").endswith(": OK\n")


def test_openssl_accepts_a_server_by_its_names(authority: ClusterAuthority, tmp_path: Path) -> None:
    certificate = serving_certificate(authority)
    name = "key-service.constellation-system.svc"
    assert verify(tmp_path, certificate, "-purpose", "sslserver", "-verify_hostname", name).endswith(": OK\n")
    assert verify(tmp_path, certificate, "-purpose", "sslserver", "-verify_ip", "fd00::9").endswith(": OK\n")


def test_a_client_is_no_server_and_a_server_no_client(authority: ClusterAuthority, tmp_path: Path) -> None:
    assert "OK" not in verify(tmp_path, client_certificate(authority), "-purpose", "sslserver")
    assert "OK" not in verify(tmp_path, serving_certificate(authority), "-purpose", "sslclient")


def test_a_certificate_says_whose_it_is(authority: ClusterAuthority) -> None:
    certificate = client_certificate(authority)
    assert certificate.subject == NODE
    assert certificate.public_key() == SUBJECT_KEY
    assert certificate.issuer == authority.certificate.subject


def test_a_certificate_begins_five_minutes_ago(authority: ClusterAuthority) -> None:
    certificate = client_certificate(authority)
    assert certificate.not_valid_before_utc == NOW - timedelta(minutes=5)
    assert certificate.not_valid_after_utc == NOW + DAY


def test_a_certificate_has_the_extensions_of_a_leaf(authority: ClusterAuthority) -> None:
    extensions = {extension.oid: extension for extension in client_certificate(authority).extensions}
    constraints = extensions[ExtensionOID.BASIC_CONSTRAINTS]
    assert (constraints.critical, constraints.value) == (True, x509.BasicConstraints(ca=False, path_length=None))
    assert extensions[ExtensionOID.EXTENDED_KEY_USAGE].value == x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    own = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    issuer = extensions[ExtensionOID.AUTHORITY_KEY_IDENTIFIER].value
    assert isinstance(issuer, x509.AuthorityKeyIdentifier)
    assert issuer.key_identifier == own.digest
    assert extensions[ExtensionOID.SUBJECT_KEY_IDENTIFIER].value == x509.SubjectKeyIdentifier.from_public_key(
        SUBJECT_KEY
    )


def test_serial_numbers_are_random(authority: ClusterAuthority) -> None:
    serials = {client_certificate(authority).serial_number for _ in range(50)}
    assert len(serials) == 50
    assert min(serials) > 2**100


def test_nothing_outlives_the_authority(tmp_path: Path) -> None:
    end = NOW + timedelta(hours=1)
    authority = ClusterAuthority.load(write(tmp_path, ECDSA, authority_certificate(ECDSA, until=end)))
    assert client_certificate(authority).not_valid_after_utc == end


def test_nothing_is_older_than_the_authority(folder: Path) -> None:
    authority, start = ClusterAuthority.load(folder), NOW - YEAR
    certificate = authority.issue_client_certificate(SUBJECT_KEY, NODE, at=start, lifetime=DAY)
    assert certificate.not_valid_before_utc == start


@pytest.mark.parametrize("at", [NOW + 11 * YEAR, NOW - 2 * YEAR, NOW + 10 * YEAR])
def test_an_authority_that_is_not_valid_certifies_nothing(folder: Path, at: datetime) -> None:
    with pytest.raises(AuthorityError, match="is valid from") as caught:
        ClusterAuthority.load(folder).issue_client_certificate(SUBJECT_KEY, NODE, at=at, lifetime=DAY)
    assert "check-expiration" in caught.value.hint


WEAK: dict[str, Callable[[], object]] = {
    "RSA-1024": lambda: rsa.generate_private_key(65537, 1024).public_key(),
    "RSA-8192": lambda: rsa.RSAPublicNumbers(65537, 2**8191 + 1).public_key(),
    "P-224": lambda: ec.generate_private_key(ec.SECP224R1()).public_key(),
    "secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()).public_key(),
    "DSA": lambda: dsa.generate_private_key(2048).public_key(),
    "Ed25519": lambda: ed25519.Ed25519PrivateKey.generate().public_key(),
    "nothing": lambda: None,
}


@pytest.mark.parametrize("kind", WEAK)
def test_an_unusual_key_is_not_certified(folder: Path, kind: str) -> None:
    with pytest.raises(AuthorityError, match="expected a public key"):
        client_certificate(ClusterAuthority.load(folder), WEAK[kind]())


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()], ids=lambda curve: str(curve.name))
def test_keys_on_the_usual_curves_are_certified(folder: Path, curve: ec.EllipticCurve) -> None:
    key = ec.generate_private_key(curve).public_key()
    assert client_certificate(ClusterAuthority.load(folder), key).public_key() == key


def test_an_rsa_key_is_certified(folder: Path) -> None:
    assert client_certificate(ClusterAuthority.load(folder), RSA.public_key()).public_key() == RSA.public_key()


def test_the_hash_is_the_one_of_kubeadms_discovery(authority: ClusterAuthority, tmp_path: Path) -> None:
    """As kubeadm's documentation has users compute it."""
    pipeline = "openssl x509 -pubkey -in ca.crt | openssl pkey -pubin -outform der | openssl dgst -sha256 -r"
    printed = subprocess.check_output(["sh", "-c", pipeline], cwd=tmp_path, text=True)
    assert authority.ca_hash == f"sha256:{printed.split()[0]}"


def test_its_certificate_is_the_one_of_the_file(authority: ClusterAuthority, tmp_path: Path) -> None:
    assert authority.certificate_pem == (tmp_path / "ca.crt").read_bytes()


def test_an_authority_without_a_key_identifier_is_named_by_its_key(tmp_path: Path) -> None:
    constraints = x509.BasicConstraints(ca=True, path_length=None)
    pem = certificate_of(ECDSA, constraints, usage(signs_certificates=True))
    certificate = client_certificate(ClusterAuthority.load(write(tmp_path, ECDSA, pem)))
    issuer = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert issuer == x509.AuthorityKeyIdentifier.from_issuer_public_key(ECDSA.public_key())


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o644])
def test_a_key_that_others_can_read_is_refused(folder: Path, mode: int) -> None:
    (folder / "ca.key").chmod(mode)
    with pytest.raises(AuthorityError, match="expected mode 0600") as caught:
        ClusterAuthority.load(folder)
    assert "chmod 600" in caught.value.hint


def test_the_key_of_another_authority_is_refused(folder: Path) -> None:
    (folder / "ca.crt").write_bytes(authority_certificate(RSA))
    with pytest.raises(AuthorityError, match=r"ca\.key is not the key of ca\.crt"):
        ClusterAuthority.load(folder)


@pytest.mark.parametrize("name", ["ca.crt", "ca.key"])
def test_a_missing_file_is_refused(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(AuthorityError, match=f"cannot read .*{name}"):
        ClusterAuthority.load(folder)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x00" * 100_000])
@pytest.mark.parametrize("name", ["ca.crt", "ca.key"])
def test_a_damaged_file_is_refused(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(AuthorityError, match=name):
        ClusterAuthority.load(folder)


def test_a_key_with_a_passphrase_is_refused(folder: Path) -> None:
    pem = ECDSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word"))
    (folder / "ca.key").write_bytes(pem)
    with pytest.raises(AuthorityError, match="without a passphrase"):
        ClusterAuthority.load(folder)


def test_an_ed25519_authority_is_refused(tmp_path: Path) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    with pytest.raises(AuthorityError):
        ClusterAuthority.load(write(tmp_path, key, authority_certificate(key)))


@pytest.mark.parametrize(
    "extensions",
    [
        [],
        [x509.BasicConstraints(ca=True, path_length=None)],
        [usage(signs_certificates=True)],
        [x509.BasicConstraints(ca=False, path_length=None), usage(signs_certificates=True)],
        [x509.BasicConstraints(ca=True, path_length=None), usage(signs_certificates=False)],
    ],
)
def test_a_certificate_of_no_authority_is_refused(tmp_path: Path, extensions: list[x509.ExtensionType]) -> None:
    with pytest.raises(AuthorityError, match="expected the certificate of an authority"):
        ClusterAuthority.load(write(tmp_path, ECDSA, certificate_of(ECDSA, *extensions)))


def test_it_does_not_show_its_key(authority: ClusterAuthority) -> None:
    assert "PrivateKey" not in repr(authority)
