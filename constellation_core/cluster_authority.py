# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The certificate authority of a cluster: `ca.crt` and `ca.key` in kubeadm's folder `/etc/kubernetes/pki`.

It certifies kubelets (client certificates) and our services (serving certificates), after RFC 5280 and the demands of
Kubernetes ("PKI certificates and requirements").
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from attestation.chain import load_certificate
from attestation.errors import MalformedError
from constellation_core.errors import AuthorityError, SecretFileError
from constellation_core.keys.secret_file import read_secret_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from constellation_core.keys.secret import Secret

AuthorityKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
SubjectKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

CERTIFICATE_FILE: Final = "ca.crt"
KEY_FILE: Final = "ca.key"
BACKDATE: Final = timedelta(minutes=5)  # clocks of nodes differ
MAX_CERTIFICATE_FILE: Final = 16 * 1024  # bytes
RSA_BITS: Final = range(2048, 4096 + 1)
CURVES: Final = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_HASH_OF_BITS: Final[dict[int, hashes.SHA384 | hashes.SHA512]] = {384: hashes.SHA384(), 521: hashes.SHA512()}


@dataclass(frozen=True, slots=True)
class ClusterAuthority:
    """The authority of a cluster.

    Attributes:
        certificate: its own.
    """

    certificate: x509.Certificate
    _key: AuthorityKey = field(repr=False)

    @classmethod
    def load(cls, folder: Path) -> ClusterAuthority:
        """Read the authority.

        1. The key can be read by us alone. Stops an authority that others could have used.
        2. The certificate is one of an authority: it may sign certificates.
        3. The key is the certificate's. Stops certificates that nobody could verify.

        Args:
            folder: holds `ca.crt` and `ca.key`, PEM.

        Raises:
            AuthorityError: a file is missing, damaged, or one of these does not hold.
        """
        try:
            secret = read_secret_file(folder / KEY_FILE)  # 1
        except SecretFileError as error:
            raise AuthorityError(str(error), hint=error.hint) from None
        certificate, key = _load_authority_certificate(folder / CERTIFICATE_FILE), _load_key(secret)
        if key is None:
            raise AuthorityError(f"{folder / KEY_FILE}: expected a PEM key, RSA or ECDSA, without a passphrase")
        if certificate.public_key() != key.public_key():  # 3
            raise AuthorityError(f"{folder}: {KEY_FILE} is not the key of {CERTIFICATE_FILE}")
        return cls(certificate, key)

    @property
    def certificate_pem(self) -> bytes:
        """Its certificate, PEM."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def ca_hash(self) -> str:
        """SHA-256 of its public key (SubjectPublicKeyInfo), as kubeadm's discovery names an authority: "sha256:…"."""
        public = self.certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return f"sha256:{hashlib.sha256(public).hexdigest()}"

    def issue_client_certificate(
        self, public_key: object, subject: x509.Name, *, at: datetime, lifetime: timedelta
    ) -> x509.Certificate:
        """Certify a client of the API server.

        Args:
            public_key: the client's; the caller has checked that the client has the private one.
            subject: common name is the user, organisations are its groups; the caller has checked who may be that.
            at: now, aware.
            lifetime: from now; never beyond the authority's own.

        Raises:
            AuthorityError: the key is weak or of another kind, or the authority is not valid now.
        """
        return self._issue(public_key, subject, at, lifetime, x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]))

    def issue_serving_certificate(
        self, public_key: object, names: Sequence[str], *, at: datetime, lifetime: timedelta
    ) -> x509.Certificate:
        """Certify a server.

        Args:
            public_key: the server's.
            names: DNS names and IP addresses, the common name first.
            at: now, aware.
            lifetime: from now; never beyond the authority's own.

        Raises:
            AuthorityError: the key is weak or of another kind, or the authority is not valid now.
        """
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        return self._issue(public_key, subject, at, lifetime, usage, _alternative_names(names))

    def _issue(
        self,
        public_key: object,
        subject: x509.Name,
        at: datetime,
        lifetime: timedelta,
        *extensions: x509.ExtensionType,
    ) -> x509.Certificate:
        key, own = _checked(public_key), self.certificate
        if not own.not_valid_before_utc <= at < own.not_valid_after_utc:
            raise AuthorityError(
                f"the cluster's authority is valid from {own.not_valid_before_utc} to {own.not_valid_after_utc}, "
                f"and now is {at}",
                hint="is the clock right? `kubeadm certs check-expiration` says what to renew",
            )
        builder = (
            x509.CertificateBuilder()
            .serial_number(x509.random_serial_number())
            .issuer_name(own.subject)
            .subject_name(subject)
            .public_key(key)
            .not_valid_before(max(at - BACKDATE, own.not_valid_before_utc))
            .not_valid_after(min(at + lifetime, own.not_valid_after_utc))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_SIGNS, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(_key_identifier(own), critical=False)
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self._key, _hash_for(self._key))


_SIGNS: Final = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,  # TLS 1.3 never enciphers with a certificate's key
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


def _load_authority_certificate(path: Path) -> x509.Certificate:
    try:
        with path.open("rb") as file:
            certificate = load_certificate(file.read(MAX_CERTIFICATE_FILE + 1))
        _checked(certificate.public_key())
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except OSError as error:
        raise AuthorityError(f"cannot read {path}: {error.strerror}") from None
    except MalformedError as error:
        raise AuthorityError(f"{path}: {error}") from None
    except x509.ExtensionNotFound:
        raise AuthorityError(f"{path}: expected the certificate of an authority, got another") from None
    if not (constraints.ca and usage.key_cert_sign):  # 2
        raise AuthorityError(f"{path}: expected the certificate of an authority, got another")
    return certificate


def _load_key(secret: Secret) -> AuthorityKey | None:
    """Load the key; None where it is none: an exception from here would carry it in its frames."""
    try:
        key = load_pem_private_key(secret.reveal(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) else None


def _checked(public_key: object) -> SubjectKey:
    if isinstance(public_key, rsa.RSAPublicKey) and public_key.key_size in RSA_BITS:
        return public_key
    if isinstance(public_key, ec.EllipticCurvePublicKey) and isinstance(public_key.curve, CURVES):
        return public_key
    raise AuthorityError("expected a public key on P-256, P-384 or P-521, or RSA of 2048 to 4096 bits, got another")


def _key_identifier(authority: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    try:
        own = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(_checked(authority.public_key()))
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def _alternative_names(names: Sequence[str]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([_general_name(name) for name in names])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _hash_for(key: AuthorityKey) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512:
    """Choose as strong a hash as the key is: SHA-256 for RSA and P-256."""
    return _HASH_OF_BITS.get(key.key_size, hashes.SHA256())
