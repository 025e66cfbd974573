# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""X.509 certificate paths: from a leaf to a root that is pinned byte by byte.

After RFC 5280, 6.1, less what no certificate of a TPM or of a cloud uses: policies, name constraints and cross
certification are not processed, and a critical extension that is not processed is a refusal.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtensionOID

from attestation.errors import MalformedError, NotGenuineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)

MAX_CERTIFICATE_SIZE: Final = 16 * 1024
MAX_INTERMEDIATES: Final = 8
MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 4096
MAX_RSA_EXPONENT: Final = 0xFFFFFFFF
MIN_ECC_BITS: Final = 256
_UNREADABLE: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
    UserWarning,  # where warnings are errors
)
_HASHES: Final = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_PROCESSED: Final = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,  # the model of a TPM, the name of a machine: for the caller to judge
    },
)


@dataclass(frozen=True, slots=True)
class CertificatePath:
    """A path that was checked.

    Attributes:
        certificates: leaf first, pinned root last.
    """

    certificates: tuple[x509.Certificate, ...]

    @property
    def leaf(self) -> x509.Certificate:
        """The certificate that was asked about."""
        return self.certificates[0]

    @property
    def vouchers(self) -> tuple[str, ...]:
        """Subjects for people, root first; the leaf's is left out, and may be empty."""
        return tuple(_label(certificate) for certificate in reversed(self.certificates[1:]))


def load_certificate(data: bytes) -> x509.Certificate:
    """Load one certificate, DER or PEM, of at most 16 KiB.

    Raises:
        MalformedError: it is none, or holds a key or an extension that cannot be read.
    """
    if len(data) > MAX_CERTIFICATE_SIZE:
        raise MalformedError(f"certificate has {len(data)} bytes, at most {MAX_CERTIFICATE_SIZE} are read")
    with reading_x509("not a certificate that can be read"):
        pem = data.lstrip().startswith(b"-----BEGIN")
        certificate = x509.load_pem_x509_certificate(data) if pem else x509.load_der_x509_certificate(data)
        # These are parsed when they are asked for: whatever is wrong with them must come out here.
        _ = certificate.public_key(), certificate.issuer, certificate.signature_hash_algorithm
        list(certificate.extensions)
        _label(certificate)
    _check_cost(certificate)
    return certificate


def _check_cost(certificate: x509.Certificate) -> None:
    """Refuse keys that nobody uses and that make a verification slow, before anything is verified with them."""
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey) and (key.key_size > MAX_RSA_BITS or key.public_numbers().e > MAX_RSA_EXPONENT):
        raise MalformedError(f"certificate: RSA key of {key.key_size} bits with an unusual exponent or size")


@contextmanager
def reading_x509(what: str) -> Iterator[None]:
    """Turn what `cryptography` raises while it reads X.509 into our error."""
    try:
        yield
    except _UNREADABLE as error:
        raise MalformedError(f"{what}: {error}") from None


def verify_chain(
    leaf: x509.Certificate,
    intermediates: Sequence[x509.Certificate],
    roots: Sequence[x509.Certificate],
    at: datetime,
    *,
    check: str = "chain",
    extended_usage: x509.ObjectIdentifier | None = None,
) -> CertificatePath:
    """Find and check a path from a leaf to one of the roots.

    1. The root is one of those given, byte for byte. Stops chains that end in somebody else's authority.
    2. Each certificate names the next as its issuer and is signed by its key, over SHA-256 or better, and no key in
       the path is weak. Stops made-up and altered certificates.
    3. Each is valid at the given time, the root too. Stops what was given up.
    4. Each above the leaf is an authority: basicConstraints say so and allow the length below it, keyUsage allows to
       sign certificates. Stops leaves that sign leaves.
    5. The leaf is no authority, and has the extended usage asked for. Stops certificates of one service being shown
       to another.
    6. No certificate has a critical extension that was not looked at.

    Args:
        leaf: the certificate in question.
        intermediates: at most eight, in any order; they carry no trust.
        roots: whom to believe.
        at: the time that is taken as "now", aware.
        check: prefix of the names of the checks in errors ("gcp.ak_chain").
        extended_usage: what the leaf must be for; None asks for nothing.

    Raises:
        NotGenuineError: there is no such path.
        MalformedError: too many intermediates.
    """
    if len(intermediates) > MAX_INTERMEDIATES:
        raise MalformedError(f"{len(intermediates)} intermediate certificates, at most {MAX_INTERMEDIATES} are read")
    search = _Search(list(dict.fromkeys(intermediates)), tuple(roots), at, check)
    search.check_leaf(leaf, extended_usage)
    path = search.extend((leaf,))
    if path is not None:
        return CertificatePath(path)
    if search.refusals:
        raise search.refusals[0]
    raise NotGenuineError(
        f"{check}.path",
        expected="signatures up to "
        + (" or ".join(_label(root) for root in roots) or "a root, and none is configured"),
        got=f"a certificate issued by {leaf.issuer.rfc4514_string()}",
        hint="is an intermediate certificate missing?",
    )


@dataclass(slots=True)
class _Search:
    """The search for one path: each intermediate is tried once, so the work is bounded."""

    untried: list[x509.Certificate]
    roots: tuple[x509.Certificate, ...]
    at: datetime
    check: str
    refusals: list[NotGenuineError] = field(default_factory=list)

    def extend(self, path: tuple[x509.Certificate, ...]) -> tuple[x509.Certificate, ...] | None:
        """Add issuers until a root is reached."""
        for issuer in (*self.roots, *self.untried):
            if not _signed_by(path[-1], issuer):  # 2
                continue
            try:
                self._check_each(issuer)
                self._check_authority(issuer, below=len(path) - 1)
            except NotGenuineError as refusal:
                self.refusals.append(refusal)
                continue
            if issuer in self.roots:  # 1
                return (*path, issuer)
            if issuer in self.untried:
                self.untried.remove(issuer)
                if found := self.extend((*path, issuer)):
                    return found
        return None

    def check_leaf(self, leaf: x509.Certificate, extended_usage: x509.ObjectIdentifier | None) -> None:
        """Check what a leaf must be."""
        self._check_each(leaf)
        constraints = _extension(leaf, x509.BasicConstraints)  # 5
        if constraints is not None and constraints.ca:
            raise self._refusal("leaf", "a certificate of a device or a machine", f"an authority: {_label(leaf)}")
        usage = _extension(leaf, x509.ExtendedKeyUsage)
        if extended_usage is not None and (usage is None or extended_usage not in usage):
            raise self._refusal("usage", f"a certificate for {extended_usage.dotted_string}", "one for something else")

    def _check_each(self, certificate: x509.Certificate) -> None:
        key = certificate.public_key()  # 2
        strong = (isinstance(key, rsa.RSAPublicKey) and key.key_size >= MIN_RSA_BITS) or (
            isinstance(key, ec.EllipticCurvePublicKey) and key.key_size >= MIN_ECC_BITS
        )
        if not strong:
            raise self._refusal("strength", "RSA-2048, P-256 or stronger", f"another key in {_label(certificate)}")
        if not certificate.not_valid_before_utc <= self.at <= certificate.not_valid_after_utc:  # 3
            raise self._refusal(
                "time",
                f"{_label(certificate)} to be valid at {self.at.isoformat()}",
                f"{certificate.not_valid_before_utc.isoformat()} to {certificate.not_valid_after_utc.isoformat()}",
            )
        for extension in certificate.extensions:  # 6
            if extension.critical and extension.oid not in _PROCESSED:
                raise self._refusal("critical", "critical extensions that are known", extension.oid.dotted_string)

    def _check_authority(self, certificate: x509.Certificate, *, below: int) -> None:  # 4
        constraints = _extension(certificate, x509.BasicConstraints)
        if constraints is None or not constraints.ca:
            raise self._refusal("authority", "an authority above the leaf", f"a leaf: {_label(certificate)}")
        if constraints.path_length is not None and constraints.path_length < below:
            raise self._refusal("length", f"at most {constraints.path_length} authorities below it", str(below))
        usage = _extension(certificate, x509.KeyUsage)
        if usage is not None and not usage.key_cert_sign:
            raise self._refusal("key_usage", "a key that may sign certificates", f"another key: {_label(certificate)}")

    def _refusal(self, name: str, expected: str, got: str) -> NotGenuineError:
        return NotGenuineError(f"{self.check}.{name}", expected=expected, got=got)


def _signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    if certificate.issuer != issuer.subject or not isinstance(certificate.signature_hash_algorithm, _HASHES):
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True


def _extension(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _label(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string() or f"certificate {certificate.serial_number:x}"
