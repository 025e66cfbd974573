# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A certificate is kept while it serves, and made anew when it does not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from constellation_core.keys.master_secret import MasterSecret
from constellation_core.keys.secret import Secret
from constellation_engine.ssh_access import Access, authority_of, certify, reason_to_renew, valid_until

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
AUTHORITY = authority_of(MasterSecret(Secret(bytes(range(32))), bytes(32)))


def line() -> str:
    key = ed25519.Ed25519PrivateKey.generate().public_key()
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


ADA = Access(user_key=f"{line()} ada@example", name="ada")
CERTIFICATE = certify(AUTHORITY, ADA, at=NOW)


def reason(*, access: Access = ADA, hours: float = 0, certificate: str = CERTIFICATE) -> str:
    return reason_to_renew(certificate, AUTHORITY, access, at=NOW + timedelta(hours=hours))


def test_it_serves_until_a_quarter_of_its_time_is_left() -> None:
    assert [reason(hours=hours) for hours in (0, 17, 18)] == ["", "", ""]
    assert reason(hours=18.1) == reason(hours=100) == "it ends soon"


def test_its_end_is_known() -> None:
    assert valid_until(CERTIFICATE) == NOW + timedelta(hours=24)
    assert valid_until(ADA.user_key) is None


@pytest.mark.parametrize(
    "access", [replace(ADA, name="eve"), replace(ADA, user_key=line()), replace(ADA, logins=("x",))]
)
def test_it_serves_nobody_else(access: Access) -> None:
    assert reason(access=access) == "it is for another key, person or login"


def test_a_shorter_time_is_kept_to() -> None:
    assert reason(access=replace(ADA, lifetime=timedelta(hours=2))) == "it lasts too long"


def test_one_of_another_authority_does_not_serve() -> None:
    other = authority_of(MasterSecret(Secret(bytes(32)), bytes(32)))
    assert reason(certificate=certify(other, ADA, at=NOW)) == "another authority signed it"


def test_that_of_a_host_does_not_serve() -> None:
    assert reason(certificate=AUTHORITY.certify_host(line(), principals=["ada"])) == "there is none"


@given(st.text(max_size=200))
def test_any_text_may_be_there(text: str) -> None:
    assert reason(certificate=text) == "there is none"
