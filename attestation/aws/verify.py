# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Is an attestation document of the Nitro system genuine?

After the EC2 user guide, "Validate a NitroTPM Attestation Document", and RFC 9052, 4.4 (what a COSE_Sign1 signs).
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from attestation.aws.cbor import Major, encode_bytes, encode_head, encode_text, parse_cbor
from attestation.aws.document import SIGNATURE_SIZE, NitroDocument
from attestation.chain import load_certificate, verify_chain
from attestation.errors import NotGenuineError
from attestation.proof import SEAL, Proof

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cryptography import x509

ALGORITHM: Final = 1  # label in the protected header
ES384: Final = -35
DIGEST: Final = "SHA384"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedDocument(Proof):
    """A genuine document. Only `verify_document` makes one.

    Attributes:
        document: what the Nitro system says.
        bound: whether it was checked to answer the caller's binding.
    """

    document: NitroDocument
    bound: bool


def verify_document(
    document: NitroDocument,
    roots: Sequence[x509.Certificate],
    *,
    binding: bytes | None,
    at: datetime,
    check: str,
) -> VerifiedDocument:
    """Verify a document.

    1. A chain leads from the roots to the certificate inside, and all of it is valid (attack: an own authority).
    2. The protected header says ES384, and the certificate's key is of P-384 (attack: another algorithm).
    3. The signature holds over protected header and payload (attack: any change).
    4. The registers are those of the SHA-384 bank (attack: a weak bank).
    5. The nonce is the binding (attack: replay of an older document, relay of one made for somebody else).

    Args:
        document: parsed document.
        roots: whom to believe.
        binding: what its nonce must be; None for recorded evidence.
        at: "now", aware UTC.
        check: prefix of the names of checks of the chain.

    Raises:
        MalformedError: a certificate or the protected header cannot be read.
        NotGenuineError: a step failed; `check` names it.
    """
    # 1
    authorities = [load_certificate(der) for der in document.authorities]
    path = verify_chain(load_certificate(document.certificate), authorities, roots, at, check=check)
    # 2
    header = parse_cbor(document.protected, "protected header")
    if header != {ALGORITHM: ES384}:
        raise NotGenuineError("aws.document_algorithm", expected=f"ES384 ({ES384})", got=str(header))
    key = path.leaf.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        raise NotGenuineError("aws.document_algorithm", expected="a key on P-384", got="another kind of key")
    # 3
    _check_signature(document, key)
    # 4
    if document.digest != DIGEST:
        raise NotGenuineError("aws.document_bank", expected=DIGEST, got=document.digest)
    # 5
    if binding is not None and not hmac.compare_digest(document.nonce, binding):
        raise NotGenuineError("aws.document_binding", expected=binding.hex(), got=document.nonce.hex() or "nothing")
    return VerifiedDocument(
        vouchers=(*path.vouchers, f"NitroTPM {document.module_id}"),
        seal=SEAL,
        document=document,
        bound=binding is not None,
    )


def _check_signature(document: NitroDocument, key: ec.EllipticCurvePublicKey) -> None:
    half = SIGNATURE_SIZE // 2
    r, s = (int.from_bytes(part, "big") for part in (document.signature[:half], document.signature[half:]))
    try:
        key.verify(encode_dss_signature(r, s), signed_bytes(document), ec.ECDSA(hashes.SHA384()))
    except InvalidSignature:
        raise NotGenuineError(
            "aws.document_signature", expected="a signature by the certificate's key", got="one that does not verify"
        ) from None


def signed_bytes(document: NitroDocument) -> bytes:
    """What the signature covers: the Sig_structure, with no external data."""
    fields = (encode_bytes(document.protected), encode_bytes(b""), encode_bytes(document.payload))
    return encode_head(Major.ARRAY, 1 + len(fields)) + encode_text("Signature1") + b"".join(fields)
