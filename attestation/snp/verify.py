# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Is an SNP report genuine? First the key that signed it, then the report.

Sources: AMD 57230 (certificates), AMD 56860 ("Guest messages", "ATTESTATION_REPORT"). Both steps return sealed
records. The first may be kept and used for many reports of the same chip and TCB; its validity is looked at each time.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from attestation.der import Tag, parse_der
from attestation.errors import MalformedError, NotGenuineError
from attestation.proof import SEAL, Proof
from attestation.snp.certificate import Certificate, parse_certificate
from attestation.snp.chain import Chain, load_chain, shipped_chain
from attestation.snp.product import Product
from attestation.snp.report import ECDSA_P384_SHA384, Report, SigningKey

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from attestation.roots import Roots

_AMD: Final = bytes.fromhex("2b060104019c7801")  # 1.3.6.1.4.1.3704.1
_PRODUCT: Final = _AMD + b"\x02"
_HARDWARE_ID: Final = _AMD + b"\x04"
_CSP_ID: Final = _AMD + b"\x05"
_TCB: Final = {
    "bootloader": _AMD + b"\x03\x01",
    "tee": _AMD + b"\x03\x02",
    "snp": _AMD + b"\x03\x03",
    "microcode": _AMD + b"\x03\x08",
    "fmc": _AMD + b"\x03\x09",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Endorsement(Proof):
    """A VCEK or VLEK for which AMD vouches.

    Attributes:
        kind: VCEK or VLEK.
        product: product line.
        tcb: component → security version the key was derived from.
        chip_id: chip, 64 bytes or 8 for Turin; None for a VLEK, which belongs to a cloud.
        csp: cloud to which a VLEK belongs; empty for a VCEK.
        certificate: the certificate.
        chain: what stands above it.
        key: P-384 key.
    """

    kind: SigningKey
    product: Product
    tcb: Mapping[str, int]
    chip_id: bytes | None
    csp: str
    certificate: Certificate
    chain: Chain
    key: ec.EllipticCurvePublicKey

    def check_validity(self, at: datetime) -> None:
        """Refuse outside the time in which the whole chain is valid."""
        self.chain.check_validity(at)
        self.certificate.check_validity(at)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedReport(Proof):
    """A report that a genuine chip signed.

    Attributes:
        report: the report.
        endorsement: the key that signed it.
    """

    report: Report
    endorsement: Endorsement

    @property
    def product(self) -> Product:
        """Product line, on which report and certificate agree."""
        return self.endorsement.product


def verify_endorsement(
    certificates: Sequence[bytes],
    *,
    kind: SigningKey,
    at: datetime,
    roots: Roots,
) -> Endorsement:
    """Verify a VCEK or VLEK.

    1. The product is one we know (attack: a chain of another line).
    2. The signer's chain ends in a pinned ARK, and every signature holds (attack: an own authority).
    3. ASK or ASVK signed the certificate, as its kind demands (attack: VLEK's authority vouching for a chip).
    4. All are valid at the given time (attack: a key that AMD has let expire).
    5. The key is P-384, and the certificate names chip or cloud (attack: a certificate without an owner).

    Args:
        certificates: DER; the VCEK or VLEK first, then ASK/ASVK and ARK unless the shipped ones are to be used.
        kind: which key the report says it is signed with.
        at: "now", aware UTC.
        roots: pinned keys.

    Raises:
        MalformedError: not certificates of AMD's form.
        NotGenuineError: AMD does not vouch for it.
    """
    if not certificates:
        raise NotGenuineError(
            "snp.certificates",
            expected=f"the {kind.name} certificate beside the report",
            got="none",
            hint="collect evidence on a host that provides certificates, or fetch the VCEK from AMD's KDS",
        )
    leaf = parse_certificate(certificates[0])
    # (1) the product
    product = _product(leaf)
    # (2) the chain above
    signer, root = certificates[1:3] if len(certificates) > 2 else shipped_chain(product, kind)  # noqa: PLR2004
    chain = load_chain(signer, root, roots.amd)
    _check_names(chain, product, kind)
    # (3) the issuer
    leaf.check_issued_by(chain.signer, chain.signer_key)
    # (4) the time
    chain.check_validity(at)
    leaf.check_validity(at)
    # (5) the key and its owner
    key = leaf.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        raise NotGenuineError("snp.key", expected=f"a P-384 key in the {kind.name}", got="another kind of key")
    chip_id, csp = _owner(leaf, kind, product)
    owner = f"of chip {chip_id.hex()[:16]}…" if chip_id is not None else f"of {csp}"
    return Endorsement(
        vouchers=(f"AMD {chain.root_name}", chain.signer_name, f"{kind.name} {owner}"),
        seal=SEAL,
        kind=kind,
        product=product,
        tcb=MappingProxyType(_certified_tcb(leaf, product)),
        chip_id=chip_id,
        csp=csp,
        certificate=leaf,
        chain=chain,
        key=key,
    )


def verify_report(report: Report, endorsement: Endorsement, *, at: datetime) -> VerifiedReport:
    """Verify a report under a verified key.

    1. The key is still valid (attack: a kept key after its end).
    2. Kind of key and algorithm are those that the report names (attack: algorithm confusion).
    3. The report's CPU is of the certificate's product line (attack: layouts of one line read as another's).
    4. The signature holds over the signed part (attack: any change).
    5. The certificate's TCB is the reported one (attack: an old key for a patched report, or the reverse).
    6. The certificate's chip is the report's (attack: the key of another machine).

    Args:
        report: parsed report.
        endorsement: verified key.
        at: "now", aware UTC.

    Raises:
        NotGenuineError: one of the above.
    """
    # (1) the time
    endorsement.check_validity(at)
    # (2) the kind of key
    if report.signature_algorithm != ECDSA_P384_SHA384:
        raise NotGenuineError(
            "snp.algorithm", expected="ECDSA P-384 with SHA-384 (1)", got=str(report.signature_algorithm)
        )
    if report.signing_key is not endorsement.kind:
        got = report.signing_key.name if report.signing_key is not None else "a key that is not known"
        raise NotGenuineError("snp.signing_key", expected=f"a report signed by the {endorsement.kind.name}", got=got)
    # (3) the product line
    _check_product(report, endorsement.product)
    # (4) the signature
    _check_signature(report, endorsement)
    # (5) the TCB
    _check_tcb(report, endorsement)
    # (6) the chip
    _check_chip(report, endorsement)
    return VerifiedReport(vouchers=endorsement.vouchers, seal=SEAL, report=report, endorsement=endorsement)


def _product(leaf: Certificate) -> Product:
    name = _text(leaf, _PRODUCT, "product name")
    product = Product.from_name(name)
    if product is None:
        raise NotGenuineError("snp.product", expected=f"one of {', '.join(Product)}", got=name)
    return product


def _check_names(chain: Chain, product: Product, kind: SigningKey) -> None:
    signer = f"SEV-VLEK-{product}" if kind is SigningKey.VLEK else f"SEV-{product}"
    got = (chain.root_name, chain.signer_name)
    if got != (f"ARK-{product}", signer):
        raise NotGenuineError(
            "snp.chain", expected=f"{kind.name} under ARK-{product} and {signer}", got=" and ".join(got)
        )


def _owner(leaf: Certificate, kind: SigningKey, product: Product) -> tuple[bytes | None, str]:
    if kind is SigningKey.VLEK:
        return None, _text(leaf, _CSP_ID, "CSP id")
    chip_id = _extension(leaf, _HARDWARE_ID, "hardware id")
    # Some issues of the certificate wrap the id into an OCTET STRING of its own.
    if len(chip_id) != product.chip_id_size:
        chip_id = parse_der(chip_id).octets()
    if len(chip_id) != product.chip_id_size:
        raise MalformedError(f"VCEK: hardware id has {len(chip_id)} bytes, expected {product.chip_id_size}")
    return chip_id, ""


def _certified_tcb(leaf: Certificate, product: Product) -> dict[str, int]:
    tcb = {}
    for component in product.tcb_layout:
        version = parse_der(_extension(leaf, _TCB[component], component)).integer()
        if not 0 <= version <= 255:  # noqa: PLR2004 - one byte of the TCB version
            raise MalformedError(f"certificate: security version of {component} is {version}")
        tcb[component] = version
    return tcb


def _extension(leaf: Certificate, name: bytes, what: str) -> bytes:
    value = leaf.extensions.get(name)
    if value is None:
        raise NotGenuineError(
            "snp.certificate", expected=f"a VCEK or VLEK with the {what}", got="a certificate without"
        )
    return value


def _text(leaf: Certificate, name: bytes, what: str) -> str:
    element = parse_der(_extension(leaf, name, what))
    if element.tag not in (Tag.IA5_STRING, Tag.UTF8_STRING, Tag.PRINTABLE_STRING) or not element.value.isascii():
        raise MalformedError(f"certificate: the {what} is not text")
    return element.value.decode("ascii")


def _check_product(report: Report, certified: Product) -> None:
    if report.family is None:  # version 2: the certificate alone names the product
        return
    if report.product is not certified:
        got = report.product or f"a CPU of family {report.family:#x}, model {report.model:#x}"
        raise NotGenuineError("snp.product", expected=f"a report of {certified}, as its certificate says", got=str(got))


def _check_signature(report: Report, endorsement: Endorsement) -> None:
    signature = encode_dss_signature(report.signature_r, report.signature_s)
    try:
        endorsement.key.verify(signature, report.signed, ec.ECDSA(hashes.SHA384()))
    except InvalidSignature:
        raise NotGenuineError(
            "snp.signature",
            expected=f"a signature by the {endorsement.kind.name}",
            got="one that does not verify",
            hint="the report was changed, or the certificate belongs to another chip or TCB",
        ) from None


def _check_tcb(report: Report, endorsement: Endorsement) -> None:
    reported = endorsement.product.tcb(report.reported_tcb)
    if reported != endorsement.tcb:
        raise NotGenuineError(
            "snp.tcb",
            expected=f"reported TCB {dict(endorsement.tcb)}, as the certificate says",
            got=str(reported),
            hint="fetch the certificate for the reported TCB",
        )


def _check_chip(report: Report, endorsement: Endorsement) -> None:
    # A host may mask the id in the report; the certificate still names the chip.
    if endorsement.chip_id is None or not any(report.chip_id):
        return
    if report.chip_id != endorsement.chip_id.ljust(len(report.chip_id), b"\0"):
        raise NotGenuineError(
            "snp.chip_id",
            expected=f"chip {endorsement.chip_id.hex()[:16]}…, as the certificate says",
            got=f"{report.chip_id.hex()[:16]}…",
        )
