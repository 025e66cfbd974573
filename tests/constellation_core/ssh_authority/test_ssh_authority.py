# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Host certificates are what OpenSSH takes for such: `ssh-keygen` reads them, and none can be changed."""

from __future__ import annotations

import base64
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    SSHCertificate,
    load_ssh_public_identity,
)

from constellation_core.errors import ConfigError
from constellation_core.keys.secret import Secret
from constellation_core.ssh_authority import SshAuthority

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ["worker-0", "10.213.1.7"]
HostKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@pytest.fixture
def authority() -> SshAuthority:
    return SshAuthority(Secret(bytes(range(32))))


def line_of(key: HostKey) -> str:
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def ssh_keygen(*arguments: str) -> str:
    if shutil.which("ssh-keygen") is None:
        pytest.skip("the program ssh-keygen is not installed: apt-get install openssh-client")
    return subprocess.run(["ssh-keygen", *arguments], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("key", [ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256R1())])
def test_openssh_reads_what_was_signed(authority: SshAuthority, tmp_path: Path, key: HostKey) -> None:
    (tmp_path / "cert.pub").write_text(authority.certify_host(line_of(key), principals=NAMES))
    (tmp_path / "ca.pub").write_text(authority.public_key)
    (tmp_path / "key.pub").write_text(line_of(key))
    said = ssh_keygen("-L", "-f", str(tmp_path / "cert.pub"))
    assert "host certificate" in said
    assert "Valid: forever" in said
    assert all(name in said for name in NAMES)
    for file, what in (("ca.pub", "Signing CA: ED25519"), ("key.pub", "Public key:")):
        fingerprint = ssh_keygen("-l", "-f", str(tmp_path / file)).split()[1]
        assert fingerprint in next(line for line in said.splitlines() if what in line)


def test_the_authority_is_the_clusters(authority: SshAuthority) -> None:
    """The seed is the private key of RFC 8032: the same on every node and every machine of an administrator."""
    again, other = SshAuthority(Secret(bytes(range(32)))), SshAuthority(Secret(bytes(32)))
    assert authority.public_key == again.public_key != other.public_key
    assert authority.public_key.startswith("ssh-ed25519 ")


def test_a_certificate_of_another_authority_is_none_of_ours(authority: SshAuthority) -> None:
    line = line_of(ed25519.Ed25519PrivateKey.generate())
    ours, theirs = (
        load_ssh_public_identity(one.certify_host(line, principals=NAMES).encode())
        for one in (authority, SshAuthority(Secret(bytes(32))))
    )
    assert isinstance(ours, SSHCertificate)
    assert isinstance(theirs, SSHCertificate)
    ours.verify_cert_signature()
    assert ours.signature_key() != theirs.signature_key()


def test_a_changed_certificate_has_no_valid_signature(authority: SshAuthority) -> None:
    kind, text, _ = authority.certify_host(
        line_of(ed25519.Ed25519PrivateKey.generate()), principals=["worker-0"]
    ).split()
    changed = _replaced(text, b"worker-0", b"worker-1")
    certificate = load_ssh_public_identity(f"{kind} {changed}".encode())
    assert isinstance(certificate, SSHCertificate)
    with pytest.raises(InvalidSignature):
        certificate.verify_cert_signature()


def _replaced(text: str, before: bytes, after: bytes) -> str:
    return base64.b64encode(base64.b64decode(text).replace(before, after)).decode()


@pytest.mark.parametrize("line", ["", "ssh-ed25519", "ssh-ed25519 AAAA", "nonsense", "\0"])
def test_what_is_no_key_is_refused(authority: SshAuthority, line: str) -> None:
    with pytest.raises(ConfigError, match="SSH host key"):
        authority.certify_host(line, principals=NAMES)


def test_a_key_of_another_kind_is_refused(authority: SshAuthority) -> None:
    with pytest.raises(ConfigError, match="Ed25519 or ECDSA"):
        authority.certify_host(line_of(rsa.generate_private_key(65537, 2048)), principals=NAMES)


def test_a_certificate_for_everybody_is_refused(authority: SshAuthority) -> None:
    with pytest.raises(ConfigError, match="the name of a host"):
        authority.certify_host(line_of(ed25519.Ed25519PrivateKey.generate()), principals=[])


def test_the_seed_is_not_shown(authority: SshAuthority) -> None:
    assert bytes(range(32)).hex() not in repr(authority) + str(vars(authority))
