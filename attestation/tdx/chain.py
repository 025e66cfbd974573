# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Intel's chain: SGX Root CA → PCK Platform CA or Processor CA → PCK certificate of one platform.

The quote brings all three. They carry keys, no trust: the root counts only if its key is pinned in
`attestation.roots`. After RFC 5280 and Intel's "SGX PCK Certificate and CRL Profile Specification".
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtensionOID, NameOID

from attestation.chain import reading_x509
from attestation.der import Tag, parse_der
from attestation.errors import MalformedError, NotGenuineError
from attestation.tdx.pck import SGX_EXTENSION, Platform, parse_sgx_extension

if TYPE_CHECKING:
    from datetime import datetime

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)

PCK_AUTHORITIES: Final = ("Intel SGX PCK Platform CA", "Intel SGX PCK Processor CA")
REMEMBERED: Final = 128  # chains; one platform always sends the same

_LENGTH: Final = 3
_ECDSA: Final = ec.ECDSA(hashes.SHA256())
_SGX_EXTENSION: Final = x509.ObjectIdentifier(SGX_EXTENSION)
_UNDERSTOOD: Final = frozenset({ExtensionOID.BASIC_CONSTRAINTS, ExtensionOID.KEY_USAGE, _SGX_EXTENSION})


@dataclass(frozen=True, slots=True)
class Signer:
    """A certificate, read as far as verification needs it.

    Attributes:
        certificate: the certificate.
        name: common name of its subject; empty if there is none.
        key: its key, on P-256.
    """

    certificate: x509.Certificate
    name: str
    key: ec.EllipticCurvePublicKey


@dataclass(frozen=True, slots=True)
class PckChain:
    """A chain whose signatures hold up to a pinned key. Whether it is valid at some time is asked each time.

    Attributes:
        leaf: the PCK.
        intermediate: the CA that certified it.
        root: Intel's root.
        platform: what the PCK certificate says of its platform.
    """

    leaf: Signer
    intermediate: Signer
    root: Signer
    platform: Platform

    def check_validity(self, at: datetime) -> None:
        """Refuse outside the time in which all three are valid.

        Raises:
            NotGenuineError: too early or too late for one of them.
        """
        for signer in (self.root, self.intermediate, self.leaf):
            begin, end = signer.certificate.not_valid_before_utc, signer.certificate.not_valid_after_utc
            if not begin <= at <= end:
                raise NotGenuineError(
                    "tdx.validity",
                    expected=f"{signer.name} valid at {at:%Y-%m-%dT%H:%M:%SZ}",
                    got=f"valid from {begin:%Y-%m-%d} to {end:%Y-%m-%d}",
                    hint="is the clock right? otherwise the platform must fetch a new PCK certificate",
                )


@lru_cache(maxsize=REMEMBERED)
def verify_chain(certificates: tuple[bytes, ...], pins: frozenset[str]) -> PckChain:
    """Verify a PCK chain. The answer depends on nothing but the arguments, so it is remembered.

    1. It has three certificates. Stops certificates that nobody looks at.
    2. Root and intermediate are Intel's (`_verify_root`, `_verify_intermediate`).
    3. The leaf is signed by the intermediate and is no authority. Stops keys that Intel certified for something else.
    4. The leaf describes its platform, in the extension of a PCK certificate. Stops Intel's other leaf certificates.

    Args:
        certificates: DER, leaf first.
        pins: accepted SPKI SHA-256 of roots, lower-case hex.

    Raises:
        MalformedError: not certificates.
        NotGenuineError: one of the above.
    """
    # (1) three of them
    if len(certificates) != _LENGTH:
        raise NotGenuineError(
            "tdx.chain", expected="PCK certificate, intermediate and root", got=f"{len(certificates)} certificates"
        )
    # (2) Intel's
    root = _verify_root(certificates[2], pins)
    intermediate = _verify_intermediate(certificates[1], certificates[2], pins)
    # (3) the leaf
    leaf = _read_signer(certificates[0], authority=False)
    _check_issued(leaf, intermediate)
    # (4) the platform
    extension = _extension(leaf.certificate, x509.UnrecognizedExtension, _SGX_EXTENSION)
    return PckChain(leaf, intermediate, root, parse_sgx_extension(extension.value))


@lru_cache(maxsize=8)
def _verify_root(der: bytes, pins: frozenset[str]) -> Signer:
    """Verify the root: its key is pinned, it is an authority and signed itself. Stops other roots and changed ones."""
    root = _read_signer(der, authority=True)
    fingerprint = hashlib.sha256(root.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
    if fingerprint not in pins:
        raise NotGenuineError(
            "tdx.root",
            expected="a root key of Intel that is pinned",
            got=f"{root.name} with key {fingerprint}",
            hint="evidence made with attestation.testing needs the fake's roots",
        )
    _check_issued(root, root)
    return root


@lru_cache(maxsize=8)
def _verify_intermediate(der: bytes, root: bytes, pins: frozenset[str]) -> Signer:
    """Verify the intermediate: an authority of the root, for PCKs. Stops leaves that issue, and other authorities."""
    intermediate = _read_signer(der, authority=True)
    _check_issued(intermediate, _verify_root(root, pins))
    if intermediate.name not in PCK_AUTHORITIES:
        raise NotGenuineError("tdx.chain", expected=" or ".join(PCK_AUTHORITIES), got=intermediate.name or "no name")
    return intermediate


def check_form(der: bytes, what: str) -> None:
    """Refuse what is not exactly data, algorithm and signature of whole bytes; `cryptography` is less strict.

    The algorithm must be the one inside the signed data too (RFC 5280, 4.1.1.2 and 5.1.1.2): outside, nothing signs it.

    Raises:
        MalformedError: it is not.
    """
    signed, algorithm, signature = parse_der(der).fields(Tag.SEQUENCE, Tag.SEQUENCE, Tag.BIT_STRING, what=what)
    signature.bits()
    # Behind the version and, in a certificate, the serial number.
    if algorithm.raw not in [element.raw for element in islice(signed.children(), 3)]:
        raise MalformedError(f"{what}: two different signature algorithms")


def _read_signer(der: bytes, *, authority: bool) -> Signer:
    check_form(der, "certificate in the PCK chain")
    with reading_x509("certificate in the PCK chain"):
        certificate = x509.load_der_x509_certificate(der)
        key = certificate.public_key()
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        strange = [e.oid.dotted_string for e in certificate.extensions if e.critical and e.oid not in _UNDERSTOOD]
    name = str(names[0].value) if names else ""
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise NotGenuineError("tdx.chain", expected="keys on P-256", got=f"another key in {name}")
    if strange:
        raise NotGenuineError("tdx.chain", expected="critical extensions that we know", got=", ".join(strange))
    constraints = _extension(certificate, x509.BasicConstraints, ExtensionOID.BASIC_CONSTRAINTS)
    usage = _extension(certificate, x509.KeyUsage, ExtensionOID.KEY_USAGE)
    if constraints.ca is not authority or not (usage.key_cert_sign if authority else usage.digital_signature):
        role = "an authority" if authority else "a key that signs, and no authority"
        raise NotGenuineError("tdx.chain", expected=role, got=f"another use of {name}")
    return Signer(certificate, name, key)


def _check_issued(subject: Signer, issuer: Signer) -> None:
    """Refuse unless issuer's name and key are behind the certificate; which algorithm that names does not matter."""
    certificate = subject.certificate
    with reading_x509("certificate in the PCK chain"):
        issued = certificate.issuer == issuer.certificate.subject
    try:
        issuer.key.verify(certificate.signature, certificate.tbs_certificate_bytes, _ECDSA)
    except InvalidSignature:
        issued = False
    if not issued:
        raise NotGenuineError(
            "tdx.chain", expected=f"{subject.name} signed by {issuer.name}", got="a signature that does not hold"
        )


def _extension(certificate: x509.Certificate, kind: type[_Extension], identifier: x509.ObjectIdentifier) -> _Extension:
    value = next((entry.value for entry in certificate.extensions if entry.oid == identifier), None)
    if not isinstance(value, kind):
        raise NotGenuineError(
            "tdx.chain", expected=f"a certificate with extension {identifier.dotted_string}", got="one without"
        )
    return value
