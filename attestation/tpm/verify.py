# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a quote is genuine: made by a TPM, now, for us, about exactly these registers.

After TPM 2.0 Library, Part 1 "Architecture", 31 (attestation) and Part 3 "Commands", 18.4 (TPM2_Quote).
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from attestation.errors import NotGenuineError
from attestation.proof import SEAL, Proof
from attestation.tpm.algorithms import HashAlgorithm, SignatureScheme
from attestation.tpm.public import ObjectAttributes
from attestation.tpm.quote import MAGIC, parse_quote
from attestation.tpm.signature import parse_signature

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attestation.tpm.attestation_key import AttestationKey
    from attestation.tpm.public import PublicArea
    from attestation.tpm.quote import Quote
    from attestation.tpm.signature import Signature

MIN_RSA_BITS: Final = 2048
_REQUIRED: Final = (
    ObjectAttributes.FIXED_TPM
    | ObjectAttributes.FIXED_PARENT
    | ObjectAttributes.SENSITIVE_DATA_ORIGIN
    | ObjectAttributes.RESTRICTED
    | ObjectAttributes.SIGN
)
_DECIDING: Final = int(_REQUIRED | ObjectAttributes.DECRYPT)
_CURVES: Final = (ec.SECP256R1, ec.SECP384R1)
_STRONG_HASHES: Final = (HashAlgorithm.SHA256, HashAlgorithm.SHA384, HashAlgorithm.SHA512)
# hashlib hashes a short message faster than the library that checks the signature.
_PREHASHED: Final = {algorithm: Prehashed(algorithm.primitive) for algorithm in _STRONG_HASHES}
_ECDSA: Final = {algorithm: ec.ECDSA(_PREHASHED[algorithm]) for algorithm in _STRONG_HASHES}
_PSS: Final = {
    algorithm: padding.PSS(padding.MGF1(algorithm.primitive), padding.PSS.AUTO) for algorithm in _STRONG_HASHES
}


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedQuote(Proof):
    """A genuine quote. Only `verify_quote` makes one.

    Attributes:
        quote: what the TPM signed.
        key: the key that signed.
        bank: bank of the registers.
        pcrs: values of the registers, index → digest.
        bound: whether the quote was checked to answer the caller's binding.
    """

    quote: Quote
    key: AttestationKey
    bank: HashAlgorithm
    pcrs: Mapping[int, bytes]
    bound: bool


def verify_quote(
    key: AttestationKey,
    attest: bytes,
    signature: bytes,
    pcrs: Mapping[int, bytes],
    *,
    binding: bytes | None,
    vouchers: tuple[str, ...],
    bank: HashAlgorithm = HashAlgorithm.SHA256,
) -> VerifiedQuote:
    """Verify a quote.

    1. The key's public area says that a TPM made it, keeps it, and signs with it only what it made itself. Stops
       software keys, imported keys, and unrestricted keys with which anybody signs a made-up quote.
    2. The signature holds, in the scheme of the key, with a key and a hash that nobody can forge today (no SHA-1, no
       RSA under 2048 bits). Stops any change of the quote.
    3. The signed bytes begin with the TPM's magic. Stops data that a TPM was made to sign from passing as its word.
    4. The extra data equals the binding. Stops replay of an older quote and relay of one made for somebody else.
    5. Exactly one bank was quoted, the one asked for, and in it exactly the registers at hand, at least one. Stops
       registers that were left out or taken from a weak bank.
    6. Every value is as wide as the bank's hash, and the hash over all of them is the signed digest. Stops false
       values, and values cut at other borders.

    Args:
        key: the attestation key.
        attest: TPMS_ATTEST.
        signature: TPMT_SIGNATURE over it.
        pcrs: register index → value.
        binding: what the quote must carry as extra data; None only for recorded evidence whose binding nobody knows
            any more, which the proof then says (`bound` is False).
        vouchers: who vouches for the key, root first.
        bank: the bank to accept.

    Raises:
        MalformedError: attest or signature do not follow their format.
        NotGenuineError: a step failed; `check` names it.
    """
    # 1
    if key.public is not None:
        _check_attributes(key.public)
    # 2
    _check_signature(key, attest, parsed := parse_signature(signature))
    # 3
    quote = parse_quote(attest)
    if quote.magic != MAGIC:
        raise NotGenuineError("tpm.magic", expected=f"{MAGIC:#x}", got=f"{quote.magic:#x}")
    # 4
    if binding is not None and not (binding and hmac.compare_digest(quote.extra_data, binding)):
        raise NotGenuineError(
            "tpm.binding",
            expected=binding.hex() or "a binding that is not empty",
            got=quote.extra_data.hex() or "nothing",
            hint="the quote answers another question: ask the node again with a fresh nonce",
        )
    # 5
    registers = sorted(pcrs)
    _check_selection(quote, registers, bank)
    # 6
    _check_values(quote, [pcrs[index] for index in registers], bank, parsed.hash_algorithm)
    return VerifiedQuote(
        vouchers=vouchers,
        seal=SEAL,
        quote=quote,
        key=key,
        bank=bank,
        pcrs=MappingProxyType(dict(pcrs)),
        bound=binding is not None,
    )


def _check_attributes(public: PublicArea) -> None:
    if public.attributes.value & _DECIDING == _REQUIRED.value:
        return
    missing = _REQUIRED & ~public.attributes
    raise NotGenuineError(
        "tpm.ak_attributes",
        expected="a key made and kept by the TPM that signs only what the TPM made",
        got=f"a key without {missing!r}" if missing else "a key that also decrypts",
    )


def _check_signature(key: AttestationKey, attest: bytes, signature: Signature) -> None:
    _check_strength(key)
    _check_scheme(key, signature)
    try:
        _verify(key, attest, signature)
    except (InvalidSignature, ValueError, UnsupportedAlgorithm):
        raise NotGenuineError(
            "tpm.signature", expected="a signature of the attestation key", got="one that does not hold"
        ) from None


def _check_strength(key: AttestationKey) -> None:
    if isinstance(key.key, rsa.RSAPublicKey):
        strong = key.key.key_size >= MIN_RSA_BITS
    else:
        strong = isinstance(key.key.curve, _CURVES)
    if not strong:
        raise NotGenuineError(
            "tpm.ak_strength",
            expected=f"P-256, P-384, or RSA of at least {MIN_RSA_BITS} bits",
            got=f"a key of {key.key.key_size} bits",
        )


def _check_scheme(key: AttestationKey, signature: Signature) -> None:
    if signature.hash_algorithm not in _STRONG_HASHES:
        raise NotGenuineError(
            "tpm.signature_hash", expected="SHA-256, SHA-384 or SHA-512", got=signature.hash_algorithm.label
        )
    public = key.public
    if public is not None and (public.scheme, public.scheme_hash) != (signature.scheme, signature.hash_algorithm):
        raise NotGenuineError(
            "tpm.signature_scheme",
            expected=f"scheme {public.scheme:#06x} with hash {public.scheme_hash:#06x}, as the key says",
            got=f"{signature.scheme.name} with {signature.hash_algorithm.label}",
        )


def _verify(key: AttestationKey, attest: bytes, signature: Signature) -> None:
    algorithm, value = signature.hash_algorithm, signature.value
    digest = algorithm.digest(attest)
    if isinstance(key.key, ec.EllipticCurvePublicKey):
        if signature.scheme is not SignatureScheme.ECDSA:
            raise InvalidSignature
        key.key.verify(value, digest, _ECDSA[algorithm])
    elif signature.scheme is SignatureScheme.RSASSA:
        key.key.verify(value, digest, padding.PKCS1v15(), _PREHASHED[algorithm])
    elif signature.scheme is SignatureScheme.RSAPSS:
        key.key.verify(value, digest, _PSS[algorithm], _PREHASHED[algorithm])
    else:
        raise InvalidSignature


def _check_selection(quote: Quote, registers: list[int], bank: HashAlgorithm) -> None:
    banks = [selection.bank for selection in quote.selections]
    if banks != [bank]:
        raise NotGenuineError(
            "tpm.bank",
            expected=f"exactly the {bank.label} bank",
            got=", ".join(f"{number:#06x}" for number in banks) or "none",
        )
    quoted = quote.selections[0].registers
    if not quoted or quoted != tuple(registers):
        raise NotGenuineError("tpm.selection", expected=f"values of the registers quoted, {quoted}", got=f"{registers}")


def _check_values(quote: Quote, values: list[bytes], bank: HashAlgorithm, algorithm: HashAlgorithm) -> None:
    if set(map(len, values)) != {bank.size}:
        raise NotGenuineError("tpm.pcr_width", expected=f"{bank.size} bytes in every register", got="other widths")
    digest = algorithm.digest(b"".join(values))
    if not hmac.compare_digest(digest, quote.pcr_digest):
        raise NotGenuineError("tpm.pcr_digest", expected=quote.pcr_digest.hex(), got=digest.hex())
