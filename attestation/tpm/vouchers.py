# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Who vouches for an attestation key: a quote is worth what its key is worth.

On some platforms hardware evidence does, and the platform's validator knows how. Here is what several platforms share:
certificates of the attestation key, certificates of the endorsement key, and lists of Names in the policy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from attestation.chain import CertificatePath, load_certificate, verify_chain
from attestation.der import read_tlv
from attestation.errors import MalformedError, NotGenuineError
from attestation.tpm.attestation_key import AttestationKey

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cryptography import x509

    from attestation.case import Case
    from attestation.verdict import Findings

LISTED: Final = "the policy, which lists the attestation key"
MAX_CHAIN: Final = 8  # certificates above a leaf


@dataclass(frozen=True, slots=True)
class VouchedKey:
    """An attestation key.

    Attributes:
        key: the key.
        vouchers: who vouches for it, root first; empty where nobody does, which makes the evidence not genuine.
    """

    key: AttestationKey
    vouchers: tuple[str, ...]


def announced_key(case: Case) -> AttestationKey:
    """Read the attestation key that the evidence names itself. Nobody vouches for it by that.

    Raises:
        MalformedError: it is not the public area of a key.
        NotGenuineError: there is none.
    """
    tpm = case.evidence.tpm
    if tpm is None or not tpm.ak_public:
        raise NotGenuineError("tpm.ak_public", expected="the public area of the attestation key", got="none")
    return AttestationKey.from_public_area(tpm.ak_public)


def check_same_key(announced: AttestationKey, vouched: AttestationKey, *, by: str) -> None:
    """Refuse evidence that names another key than the one for which somebody vouches.

    Raises:
        NotGenuineError: they differ.
    """
    if announced.fingerprint != vouched.fingerprint:
        raise NotGenuineError(
            "tpm.ak_public",
            expected=f"the key for which {by} vouches, {vouched.fingerprint.hex()}",
            got=announced.fingerprint.hex(),
        )


def certified_key(case: Case, findings: Findings) -> VouchedKey:
    """Find the attestation key where the platform certifies it, or where the policy lists it.

    1. Where the policy has roots, a chain must lead from them to a certificate of the key (attack: a TPM of software).
    2. Where it has only Names, the key must be one of those (attack: the same). If it has both, both are demanded.
    3. The key that the evidence names is the one that is certified (attack: a swapped key).

    Returns:
        The key; without vouchers if a step failed, so that the other checks still run and give their reasons.

    Raises:
        MalformedError: key or certificate cannot be read.
        NotGenuineError: the evidence says nothing about the key, or names another one than is certified.
    """
    tpm = case.evidence.tpm
    announced = announced_key(case) if tpm is not None and tpm.ak_public else None
    if case.policy.ak_roots:
        # 1
        try:
            path = _verified_path(case, "ak_certificate", "ak_chain", case.policy.ak_roots, check="ak_roots")
        except NotGenuineError as error:
            findings.forged(error)
            return VouchedKey(announced or announced_key(case), ())
        # 3
        certified = AttestationKey(_public_key(path.leaf))
        if announced is not None:
            check_same_key(announced, certified, by="the certificate")
        return VouchedKey(announced or certified, path.vouchers)
    # 2
    key = announced or announced_key(case)
    return VouchedKey(key, (LISTED,) if key.name in case.policy.ak_names else ())


def endorsement_vouchers(case: Case, key: AttestationKey, findings: Findings) -> tuple[str, ...]:
    """Say who vouches for the key of a vTPM: its manufacturer, if the policy has roots; otherwise only itself.

    1. A chain must lead from the roots to the certificate of an endorsement key (attack: a TPM of software).
    2. The attestation key must live beside that endorsement key (attack: the certificate of a genuine TPM beside a
       key of software). An endorsement key signs nothing, so evidence cannot show this: it takes an exchange,
       TPM2_ActivateCredential, after which the policy lists the Name of the attestation key. Only that list counts.

    Raises:
        MalformedError: the certificate cannot be read.
    """
    itself = f"vTPM key {key.name.hex()}" if key.name is not None else "vTPM key"
    if not case.policy.ek_roots:
        return (itself,)
    # 1
    try:
        path = _verified_path(case, "ek_certificate", "ek_chain", case.policy.ek_roots, check="ek_roots")
    except NotGenuineError as error:
        findings.forged(error)
        return ()
    # 2
    if key.name is None or key.name not in case.policy.ak_names:
        findings.refuse(
            "ek_roots",
            expected="an attestation key that was proved to live beside this endorsement key",
            got=f"{itself}, which ak_names does not list: put it there after a credential activation",
        )
        return ()
    return (*path.vouchers, "certified endorsement key", itself)


def trusted_certificates(roots: Sequence[bytes], *, check: str) -> list[x509.Certificate]:
    """Load the roots of a policy.

    Args:
        roots: PEM.
        check: name of the policy's field, for the error.

    Raises:
        NotGenuineError: one of them is no certificate, so nothing can be checked.
    """
    try:
        return [load_certificate(pem) for pem in roots]
    except MalformedError as error:
        raise NotGenuineError(check, expected="certificates in the policy", got=str(error)) from None


def _verified_path(case: Case, leaf: str, chain: str, roots: Sequence[bytes], *, check: str) -> CertificatePath:
    parts = case.evidence.platform
    if not parts.get(leaf):
        raise NotGenuineError(f"{check}.certificate", expected=f"the part {leaf} of the platform", got="none")
    trusted = trusted_certificates(roots, check=check)
    above = list(_split(parts.get(chain, b"")))
    return verify_chain(load_certificate(parts[leaf]), above, trusted, case.at, check=check)


def _split(chain: bytes) -> Iterator[x509.Certificate]:
    """Read certificates that follow one another, DER."""
    offset = 0
    for _ in range(MAX_CHAIN):
        if offset == len(chain):
            return
        element = read_tlv(chain, offset)
        offset += len(element.raw)
        yield load_certificate(element.raw)
    if offset != len(chain):
        raise MalformedError(f"more than {MAX_CHAIN} certificates in a chain")


def _public_key(certificate: x509.Certificate) -> rsa.RSAPublicKey | ec.EllipticCurvePublicKey:
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise NotGenuineError("tpm.ak_certificate", expected="an RSA or elliptic key", got="another kind of key")
    return key
