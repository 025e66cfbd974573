# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Is a TD quote genuine? From Intel's root to the platform, from there to the quoting enclave, from there to the TD.

After Intel, "TDX DCAP: Quote Generation Library and Quote Verification Library". Whether the platform's security
versions are good enough is another question, which Intel's signed collateral answers (`attestation.tdx.collateral`).
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from attestation.errors import NotGenuineError
from attestation.proof import SEAL, Proof
from attestation.tdx.chain import PckChain, verify_chain
from attestation.tdx.revocation import RevocationList, check_revocation

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from attestation.roots import Roots
    from attestation.tdx.pck import Platform
    from attestation.tdx.quote import EnclaveReport, Quote, QuoteSignature

INTEL_VENDOR: Final = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")

# Identity of Intel's quoting enclave for TDs, as in the QE identity that Intel signs ("TD_QE", version 2).
QE_SIGNER: Final = bytes.fromhex("dc9e2a7c6f948f17474e34a7fc43ed030f7c1563f1babddf6340c82e0e54a8c5")
QE_PRODUCT: Final = 2
QE_ATTRIBUTES: Final = 0x11  # INIT and PROVISIONKEY; not DEBUG
QE_ATTRIBUTES_MASK: Final = 0xFFFF_FFFF_FFFF_FFFB  # MODE64BIT may be or not; XFRM, the upper half, does not matter
QE_MISC_SELECT: Final = bytes(4)

_ECDSA: Final = ec.ECDSA(hashes.SHA256())
_P256: Final = ec.SECP256R1()
_UNCOMPRESSED: Final = b"\x04"
_HALF: Final = 32  # bytes of a coordinate, of r, of s


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedQuote(Proof):
    """A genuine quote. Only `verify_quote` makes one.

    Attributes:
        quote: what the TD and its host say.
        chain: Intel's certificates down to the platform's.
        revocation_lists: those that were looked into; whether they are fresh is for the policy to say.
    """

    quote: Quote
    chain: PckChain
    revocation_lists: tuple[RevocationList, ...]

    @property
    def platform(self) -> Platform:
        """What Intel certified of the platform."""
        return self.chain.platform


def verify_quote(
    quote: Quote,
    *,
    at: datetime,
    roots: Roots,
    revocation_lists: Iterable[bytes] = (),
) -> VerifiedQuote:
    """Verify a quote.

    1. It names Intel as vendor of the quoting enclave. Stops quotes whose fields mean something else.
    2. The PCK chain holds up to a pinned root (`attestation.tdx.chain`). Stops platforms that Intel does not know.
    3. All certificates are valid at this time. Stops keys that Intel let expire.
    4. No certificate is on a list of its issuer, and the lists are the issuer's. Stops platforms known as broken.
    5. The PCK signed the report of the quoting enclave. Stops enclaves of other machines.
    6. The enclave is Intel's quoting enclave for TDs, in production. Stops enclaves that a host wrote itself: it may
       give them access to the provisioning key too, and then their reports are signed as well.
    7. The enclave's report data is the hash of the attestation key and its authentication data, and nothing else.
       Stops other keys beside a genuine report.
    8. The attestation key signed header and body of the quote. Stops any change of it.

    Args:
        quote: parsed quote.
        at: "now", aware UTC.
        roots: whom to believe.
        revocation_lists: DER; lists of other issuers are left aside.

    Raises:
        MalformedError: a certificate or list is none.
        NotGenuineError: a step failed; `check` names it.
    """
    signature = quote.signature
    # (1) the vendor
    if quote.vendor != INTEL_VENDOR:
        raise NotGenuineError("tdx.vendor", expected=f"Intel's enclave, {INTEL_VENDOR.hex()}", got=quote.vendor.hex())
    # (2) the chain
    chain = verify_chain(signature.certificates, roots.intel)
    # (3) the time
    chain.check_validity(at)
    # (4) revocation
    lists = check_revocation(chain, revocation_lists)
    # (5) the platform speaks of the quoting enclave
    if not _is_signed(chain.leaf.key, signature.enclave_signature, signature.enclave.raw):
        raise NotGenuineError(
            "tdx.qe_signature", expected="an enclave report signed by the PCK", got="one that does not verify"
        )
    # (6) the quoting enclave
    _check_enclave(signature.enclave)
    # (7) its key
    key = _attestation_key(signature)
    # (8) the quoting enclave speaks of the TD
    if not _is_signed(key, signature.value, quote.signed):
        raise NotGenuineError(
            "tdx.signature",
            expected="a quote signed by the attestation key",
            got="one that does not verify",
            hint="the quote was changed after it was signed",
        )
    return VerifiedQuote(
        vouchers=(chain.root.name, chain.intermediate.name, f"PCK of FMSPC {chain.platform.fmspc.hex()}"),
        seal=SEAL,
        quote=quote,
        chain=chain,
        revocation_lists=lists,
    )


def _check_enclave(enclave: EnclaveReport) -> None:
    if (enclave.mr_signer, enclave.product_id) != (QE_SIGNER, QE_PRODUCT):
        raise NotGenuineError(
            "tdx.qe_identity",
            expected=f"product {QE_PRODUCT} of {QE_SIGNER.hex()}, Intel's quoting enclave for TDs",
            got=f"product {enclave.product_id} of {enclave.mr_signer.hex()}",
        )
    flags = int.from_bytes(enclave.attributes[:8], "little") & QE_ATTRIBUTES_MASK
    if flags != QE_ATTRIBUTES or enclave.misc_select != QE_MISC_SELECT:
        raise NotGenuineError(
            "tdx.qe_attributes",
            expected=f"a quoting enclave in production, attributes {QE_ATTRIBUTES:#x}",
            got=f"attributes {flags:#x}, MISCSELECT {enclave.misc_select.hex()}",
        )


def _attestation_key(signature: QuoteSignature) -> ec.EllipticCurvePublicKey:
    bound = hashlib.sha256(signature.attestation_key + signature.authentication_data).digest()
    expected = bound.ljust(len(signature.enclave.report_data), b"\0")
    if not hmac.compare_digest(signature.enclave.report_data, expected):
        raise NotGenuineError("tdx.qe_report_data", expected=expected.hex(), got=signature.enclave.report_data.hex())
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(_P256, _UNCOMPRESSED + signature.attestation_key)
    except ValueError:
        raise NotGenuineError(
            "tdx.attestation_key", expected="a point on P-256", got=signature.attestation_key.hex()
        ) from None


def _is_signed(key: ec.EllipticCurvePublicKey, signature: bytes, data: bytes) -> bool:
    r, s = int.from_bytes(signature[:_HALF], "big"), int.from_bytes(signature[_HALF:], "big")
    try:
        key.verify(encode_dss_signature(r, s), data, _ECDSA)
    except InvalidSignature:
        return False
    return True
