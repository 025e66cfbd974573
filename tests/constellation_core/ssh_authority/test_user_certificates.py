# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Certificates of people end soon, name who they are, and permit a terminal and nothing else."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    SSHCertificate,
    SSHCertificateType,
    load_ssh_public_identity,
)
from hypothesis import given
from hypothesis import strategies as st

from constellation_core.errors import ConfigError
from constellation_core.keys.secret import Secret
from constellation_core.ssh_authority import LONGEST, SshAuthority

if TYPE_CHECKING:
    from pathlib import Path

AUTHORITY = SshAuthority(Secret(bytes(range(32))))
KEY = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()
LINE = KEY.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def certify(line: str = LINE, *, name: str = "ada", logins: tuple[str, ...] = ("root",), hours: float = 24) -> str:
    return AUTHORITY.certify_user(line, name=name, logins=logins, begin=NOW, end=NOW + timedelta(hours=hours))


def test_it_says_who_when_and_where() -> None:
    certificate = load_ssh_public_identity(certify().encode())
    assert isinstance(certificate, SSHCertificate)
    certificate.verify_cert_signature()
    assert certificate.type is SSHCertificateType.USER
    assert (certificate.key_id, certificate.valid_principals) == (b"ada", [b"root"])
    assert certificate.valid_before == int((NOW + timedelta(hours=24)).timestamp())
    assert certificate.extensions == {b"permit-pty": b""}
    assert not certificate.critical_options


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is missing: apt-get install openssh-client")
def test_openssh_reads_it(tmp_path: Path) -> None:
    (tmp_path / "user-cert.pub").write_text(certify())
    command = ["ssh-keygen", "-L", "-f", str(tmp_path / "user-cert.pub")]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "user certificate" in said
    assert all(word in said for word in ("ada", "root", "permit-pty"))


@pytest.mark.parametrize("hours", [0, -1, LONGEST / timedelta(hours=1) + 1])
def test_a_time_that_is_none_or_too_long_is_refused(hours: float) -> None:
    with pytest.raises(ConfigError, match="an end within 31 days"):
        certify(hours=hours)


def test_a_certificate_of_nobody_is_refused() -> None:
    with pytest.raises(ConfigError, match="name of a person"):
        certify(name="")
    with pytest.raises(ConfigError, match="of a login"):
        certify(logins=())


@pytest.mark.parametrize("kind", ["sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"])
def test_a_key_in_a_token_is_not_taken_for_another_one(kind: str) -> None:
    with pytest.raises(ConfigError, match="SSH user key: expected one line"):
        certify(LINE.replace("ssh-ed25519", kind))


@given(st.text(max_size=200))
def test_what_is_no_key_is_refused(line: str) -> None:
    with pytest.raises(ConfigError, match="SSH user key"):
        certify(line)
