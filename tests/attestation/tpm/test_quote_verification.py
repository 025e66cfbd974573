# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a quote is genuine: every lie that a device or a machine in the middle can tell is one line."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from attestation.errors import MalformedError, NotGenuineError
from attestation.testing.tpm import SoftwareTpm
from attestation.tpm.algorithms import HashAlgorithm, SignatureScheme
from attestation.tpm.attestation_key import AttestationKey
from attestation.tpm.public import ObjectAttributes
from attestation.tpm.signature import ecdsa_signature, rsassa_signature
from attestation.tpm.verify import VerifiedQuote, verify_quote

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal

    from attestation.evidence import TpmEvidence

BINDING = bytes(range(32))
A = ObjectAttributes


def verify(
    evidence: TpmEvidence, *, binding: bytes | None = BINDING, key: AttestationKey | None = None
) -> VerifiedQuote:
    key = key or AttestationKey.from_public_area(evidence.ak_public)
    return verify_quote(key, evidence.attest, evidence.signature, evidence.pcrs, binding=binding, vouchers=("test",))


@pytest.mark.parametrize("kind", ["ecc", "rsa"])
def test_honest_quote_is_genuine(kind: Literal["ecc", "rsa"]) -> None:
    tpm = SoftwareTpm(kind)
    tpm.event(15, b"cluster")
    proof = verify(tpm.evidence(BINDING))
    assert proof.pcrs[15] == tpm.pcrs[15]
    assert proof.bound
    assert proof.bank is HashAlgorithm.SHA256
    assert proof.quote.extra_data == BINDING
    assert proof.vouchers == ("test",)
    assert proof.key.identity_kind == "TPM name"


def test_pss_quote_is_genuine_and_no_byte_of_it_may_change() -> None:
    evidence = SoftwareTpm("rsa", rsa_scheme=SignatureScheme.RSAPSS).evidence(BINDING)
    verify(evidence)
    with pytest.raises(NotGenuineError):
        verify(replace(evidence, signature=evidence.signature[:-1] + bytes([evidence.signature[-1] ^ 1])))
    with pytest.raises(NotGenuineError):
        verify(replace(evidence, attest=evidence.attest[:-1] + bytes([evidence.attest[-1] ^ 1])))


def test_key_without_public_area_is_the_word_of_its_platform() -> None:
    tpm = SoftwareTpm("rsa")
    proof = verify(tpm.evidence(BINDING), key=AttestationKey(tpm.public_key))
    assert proof.key.name is None
    assert proof.key.identity == proof.key.fingerprint
    assert proof.key.identity_kind == "attestation key"


def test_recorded_quote_says_that_it_was_not_bound() -> None:
    assert not verify(SoftwareTpm().evidence(BINDING), binding=None).bound


def test_a_proof_cannot_be_made_by_hand() -> None:
    proof = verify(SoftwareTpm().evidence(BINDING))
    with pytest.raises(TypeError, match="cannot be constructed"):
        VerifiedQuote(
            vouchers=(), seal=object(), quote=proof.quote, key=proof.key, bank=proof.bank, pcrs={}, bound=True
        )


def test_registers_in_a_proof_cannot_be_changed_afterwards() -> None:
    evidence = SoftwareTpm().evidence(BINDING)
    registers = dict(evidence.pcrs)
    key = AttestationKey.from_public_area(evidence.ak_public)
    proof = verify_quote(key, evidence.attest, evidence.signature, registers, binding=BINDING, vouchers=())
    registers[4] = bytes(32)
    assert proof.pcrs[4] == evidence.pcrs[4]


def drop(attribute: ObjectAttributes) -> Callable[[SoftwareTpm], None]:
    def lie(tpm: SoftwareTpm) -> None:
        tpm.ak_attributes &= ~attribute

    return lie


def set_(**changes: object) -> Callable[[SoftwareTpm], None]:
    def lie(tpm: SoftwareTpm) -> None:
        for name, value in changes.items():
            setattr(tpm, name, value)

    return lie


@pytest.mark.parametrize(
    "lie,check",
    [
        pytest.param(drop(A.RESTRICTED), "tpm.ak_attributes", id="unrestricted-key"),
        pytest.param(drop(A.SIGN | A.RESTRICTED), "tpm.ak_attributes", id="two-attributes-missing"),
        pytest.param(drop(A.FIXED_TPM), "tpm.ak_attributes", id="key-that-can-leave"),
        pytest.param(drop(A.FIXED_PARENT), "tpm.ak_attributes", id="key-that-can-move"),
        pytest.param(drop(A.SENSITIVE_DATA_ORIGIN), "tpm.ak_attributes", id="imported-key"),
        pytest.param(drop(A.SIGN), "tpm.ak_attributes", id="key-that-does-not-sign"),
        pytest.param(set_(ak_attributes=A(0)), "tpm.ak_attributes", id="key-without-promises"),
        pytest.param(set_(magic=0), "tpm.magic", id="not-made-by-the-tpm"),
        pytest.param(set_(magic=0xFF544346), "tpm.magic", id="nearly-the-magic"),
        pytest.param(set_(quoted_binding=bytes(32)), "tpm.binding", id="stale-nonce"),
        pytest.param(set_(quoted_binding=b""), "tpm.binding", id="no-nonce"),
        pytest.param(set_(quoted_binding=BINDING + b"\0"), "tpm.binding", id="longer-nonce"),
        pytest.param(set_(quoted_binding=BINDING[:-1]), "tpm.binding", id="shorter-nonce"),
        pytest.param(set_(quoted_bank=HashAlgorithm.SHA1), "tpm.bank", id="weak-bank"),
        pytest.param(set_(quoted_bank=HashAlgorithm.SHA384), "tpm.bank", id="other-bank"),
        pytest.param(set_(quoted_registers=tuple(range(23))), "tpm.selection", id="one-register-left-out"),
        pytest.param(set_(quoted_registers=()), "tpm.selection", id="nothing-quoted"),
        pytest.param(set_(quoted_digest=bytes(32)), "tpm.pcr_digest", id="digest-of-other-values"),
        pytest.param(set_(quoted_digest=b""), "tpm.pcr_digest", id="no-digest"),
        pytest.param(set_(signature_hash=HashAlgorithm.SHA1), "tpm.signature_hash", id="sha1-signature"),
    ],
)
@pytest.mark.parametrize("kind", ["ecc", "rsa"])
def test_one_lie_is_refused_for_its_reason(
    kind: Literal["ecc", "rsa"], lie: Callable[[SoftwareTpm], None], check: str
) -> None:
    tpm = SoftwareTpm(kind)
    lie(tpm)
    with pytest.raises(NotGenuineError) as refusal:
        verify(tpm.evidence(BINDING))
    assert refusal.value.check == check
    assert refusal.value.expected != refusal.value.got
    assert "None" not in str(refusal.value)


def test_key_that_also_decrypts_is_refused() -> None:
    tpm = SoftwareTpm()
    tpm.ak_attributes |= A.DECRYPT
    with pytest.raises(NotGenuineError, match="also decrypts"):
        verify(tpm.evidence(BINDING))


@pytest.mark.parametrize("lie", [set_(trailing=b"\0"), set_(kind=0x8017)], ids=["trailing-byte", "certify-not-quote"])
def test_signed_bytes_that_are_no_quote_are_refused(lie: Callable[[SoftwareTpm], None]) -> None:
    tpm = SoftwareTpm()
    lie(tpm)
    with pytest.raises(MalformedError):
        verify(tpm.evidence(BINDING))


def test_refusal_names_what_the_key_lacks_and_what_the_quote_carries() -> None:
    tpm = SoftwareTpm()
    tpm.quoted_binding = b"old"
    with pytest.raises(NotGenuineError, match=f"expected {BINDING.hex()}, got 6f6c64") as refusal:
        verify(tpm.evidence(BINDING))
    assert "fresh nonce" in refusal.value.hint
    tpm.ak_attributes &= ~A.FIXED_TPM
    with pytest.raises(NotGenuineError, match=r"without <ObjectAttributes\.FIXED_TPM"):
        verify(tpm.evidence(BINDING))


def test_empty_binding_binds_nothing() -> None:
    tpm = SoftwareTpm()
    tpm.quoted_binding = b""
    with pytest.raises(NotGenuineError) as refusal:
        verify(tpm.evidence(BINDING), binding=b"")
    assert refusal.value.check == "tpm.binding"


def test_another_tpm_is_refused() -> None:
    honest, other = SoftwareTpm().evidence(BINDING), SoftwareTpm()
    with pytest.raises(NotGenuineError) as refusal:
        verify(honest, key=AttestationKey.from_public_area(other.ak_public))
    assert refusal.value.check == "tpm.signature"
    assert "None" not in str(refusal.value)


def test_key_of_the_other_kind_is_refused() -> None:
    evidence = SoftwareTpm("rsa").evidence(BINDING)
    with pytest.raises(NotGenuineError) as refusal:
        verify(evidence, key=AttestationKey(SoftwareTpm("ecc").public_key))
    assert refusal.value.check == "tpm.signature"
    assert "None" not in str(refusal.value)
    evidence = SoftwareTpm("ecc").evidence(BINDING)
    with pytest.raises(NotGenuineError) as refusal:
        verify(evidence, key=AttestationKey(SoftwareTpm("rsa").public_key))
    assert refusal.value.check == "tpm.signature"
    assert "None" not in str(refusal.value)


def test_scheme_must_be_the_one_of_the_key() -> None:
    tpm = SoftwareTpm()
    evidence = tpm.evidence(BINDING)
    tpm.signature_hash = HashAlgorithm.SHA384  # the quote stays SHA-256, the key now says SHA-384
    with pytest.raises(NotGenuineError) as refusal:
        verify(evidence, key=AttestationKey.from_public_area(tpm.ak_public))
    assert refusal.value.check == "tpm.signature_scheme"
    assert "None" not in str(refusal.value)


@pytest.mark.parametrize(
    "key",
    [rsa.generate_private_key(65537, 1024), ec.generate_private_key(ec.SECP521R1())],
    ids=["rsa-1024", "p521"],
)
def test_key_outside_the_accepted_strengths_is_refused(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> None:
    evidence = SoftwareTpm().evidence(BINDING)
    with pytest.raises(NotGenuineError) as refusal:
        verify(evidence, key=AttestationKey(key.public_key()))
    assert refusal.value.check == "tpm.ak_strength"
    assert "None" not in str(refusal.value)


def test_registers_cut_at_other_borders_are_refused() -> None:
    evidence = SoftwareTpm().evidence(BINDING)
    moved = dict(evidence.pcrs)
    moved[0], moved[1] = moved[0] + moved[1][:1], moved[1][1:]
    key = AttestationKey.from_public_area(evidence.ak_public)
    with pytest.raises(NotGenuineError) as refusal:
        verify_quote(key, evidence.attest, evidence.signature, moved, binding=BINDING, vouchers=())
    assert refusal.value.check == "tpm.pcr_width"
    assert "None" not in str(refusal.value)


def test_no_registers_prove_nothing() -> None:
    tpm = SoftwareTpm()
    tpm.quoted_registers = ()
    evidence = tpm.evidence(BINDING)
    key = AttestationKey.from_public_area(evidence.ak_public)
    with pytest.raises(NotGenuineError) as refusal:
        verify_quote(key, evidence.attest, evidence.signature, {}, binding=BINDING, vouchers=())
    assert refusal.value.check == "tpm.selection"
    assert "None" not in str(refusal.value)


@pytest.mark.parametrize(
    "signature",
    [ecdsa_signature(0, 0, 32), ecdsa_signature(2**256 - 1, 1, 32), rsassa_signature(bytes(256))],
    ids=["zero", "beyond-the-order", "rsa-for-an-ecc-key"],
)
def test_degenerate_signatures_are_refused(signature: bytes) -> None:
    evidence = SoftwareTpm().evidence(BINDING)
    key = AttestationKey.from_public_area(evidence.ak_public)
    with pytest.raises(NotGenuineError):
        verify_quote(key, evidence.attest, signature, evidence.pcrs, binding=BINDING, vouchers=())


@pytest.mark.parametrize("kind", ["ecc", "rsa"])
@pytest.mark.parametrize("part", ["attest", "signature"])
def test_every_flipped_byte_is_refused(kind: Literal["ecc", "rsa"], part: str) -> None:
    evidence = SoftwareTpm(kind).evidence(BINDING)
    key = AttestationKey.from_public_area(evidence.ak_public)
    parts = {"attest": evidence.attest, "signature": evidence.signature}
    for index in range(len(parts[part])):
        flipped = bytearray(parts[part])
        flipped[index] ^= 1 << index % 8
        broken = parts | {part: bytes(flipped)}
        with pytest.raises((NotGenuineError, MalformedError)):
            verify_quote(key, broken["attest"], broken["signature"], evidence.pcrs, binding=BINDING, vouchers=())


def test_every_flipped_byte_of_a_register_is_refused() -> None:
    evidence = SoftwareTpm().evidence(BINDING)
    key = AttestationKey.from_public_area(evidence.ak_public)
    for index in evidence.pcrs:
        for offset in range(32):
            value = bytearray(evidence.pcrs[index])
            value[offset] ^= 0x80
            changed = {**evidence.pcrs, index: bytes(value)}
            with pytest.raises(NotGenuineError):
                verify_quote(key, evidence.attest, evidence.signature, changed, binding=BINDING, vouchers=())
