# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The certificates of a control plane, in the layout of kubeadm's `/etc/kubernetes/pki`.

    ca, apiserver, apiserver-kubelet-client      the cluster's authority, and what it certifies
    front-proxy-ca, front-proxy-client           aggregated API servers
    etcd/ca, etcd/server, apiserver-etcd-client  etcd
    sa.key, sa.pub                               service-account tokens

Each but the last is a pair of `.crt` and `.key` in PEM. Keys are ECDSA P-256: making them costs no time.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MASTERS: Final = "system:masters"  # the group that may do everything
SERVER_NAMES: Final = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "127.0.0.1",
    "10.96.0.1",
)

_CLOCK_SKEW: Final = timedelta(minutes=5)
_LIFETIME: Final = timedelta(days=365)
_NO_PURPOSE: Final = dict.fromkeys(
    ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"),
    False,
)


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority whose files are `<path>.crt` and `<path>.key`.

    Attributes:
        certificate: its own, signed by itself.
        key: its private key.
    """

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def create(cls, path: Path, name: str) -> Authority:
        """Make a new one and write its files."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(name, ())
        builder = _builder(subject, subject, key.public_key(), key.public_key(), is_authority=True)
        authority = cls(builder.sign(key, hashes.SHA256()), key)
        _write_pair(path, authority.certificate, key)
        return authority

    def certify(self, path: Path, name: str, *, groups: Sequence[str] = (), server: bool = False) -> None:
        """Make a key, certify it and write both files.

        Args:
            path: of the files, without their ending.
            name: common name; the user's name, where Kubernetes authenticates a client by it.
            groups: organisations; the user's groups.
            server: whether it also serves, under `SERVER_NAMES`.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(
            self.certificate.subject, _name(name, groups), self.key.public_key(), key.public_key(), is_authority=False
        )
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
        if server:
            usages.append(ExtendedKeyUsageOID.SERVER_AUTH)
            builder = builder.add_extension(x509.SubjectAlternativeName(list(map(_alternative, SERVER_NAMES))), False)  # noqa: FBT003
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        _write_pair(path, builder.sign(self.key, hashes.SHA256()), key)


def make_pki(directory: Path) -> Authority:
    """Make everything that the programs of a control plane need.

    Args:
        directory: becomes the folder `pki`; must not exist.

    Returns:
        The cluster's authority.
    """
    (directory / "etcd").mkdir(parents=True)
    cluster = Authority.create(directory / "ca", "kubernetes")
    cluster.certify(directory / "apiserver", "kube-apiserver", server=True)
    cluster.certify(directory / "apiserver-kubelet-client", "kube-apiserver-kubelet-client", groups=(MASTERS,))
    front_proxy = Authority.create(directory / "front-proxy-ca", "front-proxy-ca")
    front_proxy.certify(directory / "front-proxy-client", "front-proxy-client")
    etcd = Authority.create(directory / "etcd" / "ca", "etcd-ca")
    etcd.certify(directory / "etcd" / "server", "etcd", server=True)
    etcd.certify(directory / "apiserver-etcd-client", "kube-apiserver-etcd-client")
    _write_service_account_key(directory)
    return cluster


def _write_service_account_key(directory: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    _write_key(directory / "sa.key", key)
    (directory / "sa.pub").write_bytes(public)


def _write_pair(path: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    path.with_name(f"{path.name}.crt").write_bytes(certificate.public_bytes(Encoding.PEM))
    _write_key(path.with_name(f"{path.name}.key"), key)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _builder(
    issuer: x509.Name,
    subject: x509.Name,
    issuer_key: ec.EllipticCurvePublicKey,
    subject_key: ec.EllipticCurvePublicKey,
    *,
    is_authority: bool,
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    usage = x509.KeyUsage(digital_signature=True, key_cert_sign=is_authority, crl_sign=is_authority, **_NO_PURPOSE)
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(subject)
        .public_key(subject_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(subject_key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )


def _name(name: str, groups: Sequence[str]) -> x509.Name:
    organisations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*organisations, x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
