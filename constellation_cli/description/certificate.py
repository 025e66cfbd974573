# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""X.509 certificates in words, with what AMD and Intel put into theirs (RFC 5280; AMD 57230; Intel's PCK profile)."""

from __future__ import annotations

import hashlib
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from attestation.der import Tag, parse_der, read_tlv
from attestation.errors import MalformedError
from attestation.roots import VENDOR_ROOTS
from attestation.snp.certificate import split_pem
from attestation.tdx.pck import SGX_EXTENSION, parse_sgx_extension
from constellation_cli.description.words import moment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

MAX_CERTIFICATES: Final = 16  # in one file
_AMD: Final = "1.3.6.1.4.1.3704.1."
_AMD_NAMES: Final[Mapping[str, str]] = {
    "1": "structure_version",
    "2": "product",
    "3.1": "bootloader",
    "3.2": "tee",
    "3.3": "snp",
    "3.4": "spl4",
    "3.5": "spl5",
    "3.6": "spl6",
    "3.7": "spl7",
    "3.8": "microcode",
    "3.9": "fmc",
    "4": "chip_id",
    "5": "csp_id",
}
# What the parser raises about bytes that are no certificate or list; some of it derives from Exception alone.
_X509_ERRORS: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


def split_certificates(data: bytes) -> tuple[bytes, ...]:
    """Give the DER of every certificate in a file: PEM, or DER one after another.

    Raises:
        MalformedError: something between them is no certificate, or there are too many.
    """
    if b"-----BEGIN CERTIFICATE-----" in data:
        return split_pem(data)
    certificates: list[bytes] = []
    offset = 0
    while offset < len(data):
        if len(certificates) == MAX_CERTIFICATES:
            raise MalformedError(f"more than {MAX_CERTIFICATES} certificates in one file")
        certificates.append(read_tlv(data, offset).raw)
        offset += len(certificates[-1])
    return tuple(certificates)


def describe_certificates(data: bytes) -> dict[str, Any]:
    """Put a file of certificates into words; one of them becomes the record itself."""
    described = [describe_certificate(der) for der in split_certificates(data)]
    return described[0] if len(described) == 1 else {"count": len(described), "certificates": described}


def describe_certificate(der: bytes) -> dict[str, Any]:
    """Put one certificate into words.

    Raises:
        MalformedError: it is none.
    """
    with reading(f"certificate of {len(der)} bytes"):
        return _describe(x509.load_der_x509_certificate(der))


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Bring the library's errors into our tree, and keep its warnings away: what is odd is shown, not talked about.

    Every VCEK has serial number 0, which alone is worth a warning to it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except _X509_ERRORS as error:
        raise MalformedError(f"{what} cannot be read: {error}") from None


def _describe(certificate: x509.Certificate) -> dict[str, Any]:
    key = certificate.public_key()
    fingerprint = hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
    return {
        "subject": certificate.subject.rfc4514_string(),
        "issuer": certificate.issuer.rfc4514_string(),
        "serial": f"{certificate.serial_number:#x}",
        "not_before": moment(certificate.not_valid_before_utc),
        "not_after": moment(certificate.not_valid_after_utc),
        "key": _key(key),
        "spki_sha256": fingerprint,
        "pinned_root": fingerprint in VENDOR_ROOTS.amd | VENDOR_ROOTS.intel,
        **_extensions(certificate.extensions),
    }


def _key(key: CertificatePublicKeyTypes) -> str:
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA of {key.key_size} bits"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"ECC on {key.curve.name}"
    return type(key).__name__


def _extensions(extensions: x509.Extensions) -> dict[str, Any]:
    amd: dict[str, Any] = {}
    record: dict[str, Any] = {"authority": False}
    others = []
    for extension in extensions:
        value, oid = extension.value, extension.oid.dotted_string
        if isinstance(value, x509.BasicConstraints):
            record["authority"] = value.ca
        elif isinstance(value, x509.UnrecognizedExtension) and oid.startswith(_AMD):
            arcs = oid.removeprefix(_AMD)
            amd[_AMD_NAMES.get(arcs, arcs)] = _amd_value(value.value)
        elif isinstance(value, x509.UnrecognizedExtension) and oid == SGX_EXTENSION:
            record["intel_platform"] = _platform(value.value)
        elif isinstance(value, x509.UnrecognizedExtension):
            others.append(f"{oid}{' (critical)' if extension.critical else ''}")
    return record | ({"amd": amd} if amd else {}) | ({"other_extensions": others} if others else {})


def _amd_value(data: bytes) -> int | str:
    """Read text or a number; the chip id is in no encoding, or in an OCTET STRING."""
    try:
        element = parse_der(data)
        if element.tag == Tag.INTEGER:
            return element.integer()
        if element.tag in (Tag.IA5_STRING, Tag.UTF8_STRING):
            return element.value.decode("utf-8", "replace")
        return element.octets().hex()
    except MalformedError:
        return data.hex()


def _platform(extension: bytes) -> dict[str, Any]:
    try:
        platform = parse_sgx_extension(extension)
    except MalformedError as error:
        return {"error": str(error)}
    return {
        "fmspc": platform.fmspc.hex(),
        "ppid": platform.ppid.hex(),
        "pce_id": platform.pce_id.hex(),
        "pce_svn": platform.pce_svn,
        "components": list(platform.components),
        "instance_id": platform.instance_id.hex() if platform.instance_id is not None else None,
        "dynamic_platform": platform.dynamic_platform,
        "cached_keys": platform.cached_keys,
        "smt_enabled": platform.smt_enabled,
    }
