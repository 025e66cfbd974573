# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Every key, hash and scheme that a quote may be signed with, and those just beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unittest.mock import create_autospec

import pytest
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from attestation.errors import NotGenuineError
from attestation.testing.tpm import SoftwareTpm
from attestation.tpm.algorithms import HashAlgorithm
from attestation.tpm.attestation_key import AttestationKey
from attestation.tpm.signature import ecdsa_signature, rsassa_signature
from attestation.tpm.verify import VerifiedQuote, verify_quote

if TYPE_CHECKING:
    from typing import Literal

    from attestation.evidence import TpmEvidence

BINDING = bytes(range(32))


def verify(evidence: TpmEvidence, key: AttestationKey, signature: bytes | None = None) -> VerifiedQuote:
    return verify_quote(
        key, evidence.attest, signature or evidence.signature, evidence.pcrs, binding=BINDING, vouchers=()
    )


@pytest.mark.parametrize("algorithm", [HashAlgorithm.SHA256, HashAlgorithm.SHA384, HashAlgorithm.SHA512])
@pytest.mark.parametrize("kind", ["ecc", "rsa"])
def test_every_strong_hash_is_accepted(kind: Literal["ecc", "rsa"], algorithm: HashAlgorithm) -> None:
    tpm = SoftwareTpm(kind, signature_hash=algorithm)
    evidence = tpm.evidence(BINDING)
    assert verify(evidence, AttestationKey.from_public_area(evidence.ak_public)).pcrs == tpm.pcrs


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1()])
def test_both_curves_are_accepted(curve: ec.EllipticCurve) -> None:
    evidence, private = SoftwareTpm().evidence(BINDING), ec.generate_private_key(curve)
    r, s = decode_dss_signature(private.sign(evidence.attest, ec.ECDSA(hashes.SHA256())))
    proof = verify(evidence, AttestationKey(private.public_key()), ecdsa_signature(r, s, curve.key_size // 8))
    assert proof.key.key == private.public_key()


def test_a_signature_that_calls_itself_another_scheme_is_refused() -> None:
    evidence, private = SoftwareTpm().evidence(BINDING), ec.generate_private_key(ec.SECP256R1())
    der = private.sign(evidence.attest, ec.ECDSA(hashes.SHA256()))
    with pytest.raises(NotGenuineError, match=r"tpm\.signature"):
        verify(evidence, AttestationKey(private.public_key()), rsassa_signature(der))


@pytest.mark.parametrize("objection", [InvalidSignature(), ValueError("length"), UnsupportedAlgorithm("curve")])
def test_whatever_is_said_against_a_signature_refuses_it(objection: Exception) -> None:
    evidence = SoftwareTpm().evidence(BINDING)
    key = create_autospec(ec.EllipticCurvePublicKey, instance=True)
    key.curve, key.verify.side_effect = ec.SECP256R1(), objection
    with pytest.raises(NotGenuineError, match=r"tpm\.signature"):
        verify(evidence, AttestationKey(key))


def test_the_magic_and_the_type_are_those_of_the_specification() -> None:
    tpm = SoftwareTpm(magic=0xFF544347, kind=0x8018)
    evidence = tpm.evidence(BINDING)
    assert verify(evidence, AttestationKey.from_public_area(evidence.ak_public)).quote.magic == 0xFF544347
