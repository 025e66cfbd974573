# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Credentials: made in software, opened by a real TPM, and by no other."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from attestation.chain import load_certificate, verify_chain
from attestation.errors import MalformedError, NotGenuineError, TpmError
from attestation.testing.swtpm import running_swtpm
from attestation.testing.tpm import SoftwareTpm
from attestation.tpm.client import Tpm
from attestation.tpm.credential import Credential, make_credential
from attestation.tpm.endorsement import EndorsementKey, activate_credential, endorsement_certificate, endorsement_key
from attestation.tpm.nv import nv_define, nv_write
from attestation.tpm.public import name_of, parse_public
from attestation.tpm.structures import Hierarchy
from attestation.tpm.templates import ecc_attestation_key, rsa_attestation_key

if TYPE_CHECKING:
    from pathlib import Path

    from attestation.testing.swtpm import Swtpm

SECRET = bytes(range(32))
CERTIFIED = (EndorsementKey.RSA_2048, EndorsementKey.ECC_P384)
every_key = pytest.mark.parametrize("kind", EndorsementKey)
every_certified_key = pytest.mark.parametrize("kind", CERTIFIED)


@every_key
def test_real_tpm_opens_what_was_made_for_it(tpm: Tpm, kind: EndorsementKey) -> None:
    with (
        endorsement_key(tpm, kind) as endorsement,
        tpm.primary(Hierarchy.ENDORSEMENT, ecc_attestation_key()) as key,
    ):
        credential = make_credential(parse_public(endorsement.public), key.name, SECRET)
        assert activate_credential(tpm, key, endorsement, credential) == SECRET


@every_key
def test_credential_for_another_attestation_key_is_refused(tpm: Tpm, kind: EndorsementKey) -> None:
    with (
        endorsement_key(tpm, kind) as endorsement,
        tpm.primary(Hierarchy.ENDORSEMENT, ecc_attestation_key()) as key,
    ):
        credential = make_credential(parse_public(endorsement.public), name_of(SoftwareTpm().ak_public), SECRET)
        with pytest.raises(TpmError) as refusal:
            activate_credential(tpm, key, endorsement, credential)
    assert "TPM_RC_INTEGRITY" in refusal.value.hint


def test_credential_for_another_tpm_is_refused(tpm: Tpm, tmp_path: Path) -> None:
    with (
        running_swtpm(tmp_path, endorsed=False) as running,
        Tpm.open(running.address) as other,
        endorsement_key(other, EndorsementKey.RSA_2048) as foreign,
    ):
        public = parse_public(foreign.public)
    with (
        endorsement_key(tpm, EndorsementKey.RSA_2048) as endorsement,
        tpm.primary(Hierarchy.ENDORSEMENT, rsa_attestation_key()) as key,
        pytest.raises(TpmError),
    ):
        activate_credential(tpm, key, endorsement, make_credential(public, key.name, SECRET))


@every_certified_key
def test_altered_credential_is_refused(tpm: Tpm, kind: EndorsementKey) -> None:
    with (
        endorsement_key(tpm, kind) as endorsement,
        tpm.primary(Hierarchy.ENDORSEMENT, ecc_attestation_key()) as key,
    ):
        credential = make_credential(parse_public(endorsement.public), key.name, SECRET)
        altered = Credential(credential.blob[:-1] + bytes([credential.blob[-1] ^ 1]), credential.encrypted_seed)
        with pytest.raises(TpmError):
            activate_credential(tpm, key, endorsement, altered)


def test_secret_that_does_not_fit_is_refused(tpm: Tpm) -> None:
    with endorsement_key(tpm, EndorsementKey.RSA_2048) as endorsement:
        public = parse_public(endorsement.public)
    with pytest.raises(ValueError, match="at most 32"):
        make_credential(public, bytes(34), os.urandom(33))


def test_key_that_signs_is_no_endorsement_key() -> None:
    with pytest.raises(NotGenuineError) as refusal:
        make_credential(parse_public(SoftwareTpm().ak_public), bytes(34), SECRET)
    assert refusal.value.check == "tpm.ek_attributes"


@every_certified_key
def test_endorsement_certificate_is_about_the_key_in_the_tpm(tpm: Tpm, kind: EndorsementKey) -> None:
    certificate = load_certificate(endorsement_certificate(tpm, kind))
    with endorsement_key(tpm, kind) as endorsement:
        assert certificate.public_key() == parse_public(endorsement.public).key


@every_certified_key
def test_endorsement_certificate_chains_to_its_authority(tpm: Tpm, swtpm: Swtpm, kind: EndorsementKey) -> None:
    leaf = load_certificate(endorsement_certificate(tpm, kind))
    issuer, root = load_certificate(swtpm.issuing_certificate), load_certificate(swtpm.root_certificate)
    now = datetime.now(UTC)
    path = verify_chain(leaf, [issuer], [root], now)
    assert path.certificates == (leaf, issuer, root)
    assert path.vouchers == ("CN=swtpm-localca-rootca", "CN=swtpm-localca")
    with pytest.raises(NotGenuineError) as refusal:
        verify_chain(leaf, [], [root], now)
    assert refusal.value.check == "chain.path"
    with pytest.raises(NotGenuineError) as refusal:
        verify_chain(leaf, [issuer], [root], now - timedelta(days=3))
    assert refusal.value.check == "chain.time"


def test_tpm_without_certificate_says_so(tpm: Tpm) -> None:
    with pytest.raises(TpmError):
        endorsement_certificate(tpm, EndorsementKey.ECC_P256)


@pytest.mark.parametrize("content", [b"\x30\x82\xff\xff", b"no certificate", b""], ids=["too-long", "text", "empty"])
def test_index_with_something_else_is_refused(fresh_tpm: Tpm, content: bytes) -> None:
    nv_define(fresh_tpm, EndorsementKey.ECC_P256.certificate_index, max(len(content), 1))
    nv_write(fresh_tpm, EndorsementKey.ECC_P256.certificate_index, content or b"\0")
    with pytest.raises(MalformedError):
        endorsement_certificate(fresh_tpm, EndorsementKey.ECC_P256)


def test_certificate_in_a_larger_index_is_cut_out(fresh_tpm: Tpm) -> None:
    certificate = b"\x30\x82\x00\x02ab"
    nv_define(fresh_tpm, EndorsementKey.ECC_P256.certificate_index, 64)
    nv_write(fresh_tpm, EndorsementKey.ECC_P256.certificate_index, certificate.ljust(64, b"\xff"))
    assert endorsement_certificate(fresh_tpm, EndorsementKey.ECC_P256) == certificate
