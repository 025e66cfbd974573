# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Evidence out of files: one that holds all of it, or its parts as other tools write them."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from attestation.azure.hcl import parse_hcl
from attestation.errors import AttestationError, MalformedError
from attestation.evidence import Evidence, SnpEvidence, TdxEvidence, TpmEvidence
from attestation.snp.certificate import parse_certificate
from attestation.snp.certificate_table import parse_certificate_table
from attestation.snp.kds import vcek_path
from attestation.snp.kds_transport import KDS_ADDRESS
from attestation.snp.report import SigningKey, parse_report
from attestation.tpm.algorithms import HashAlgorithm
from attestation.tpm.quote import parse_quote
from attestation.variant import Technology, Variant
from constellation_cli.description.certificate import describe_certificate
from constellation_cli.errors import CommandError
from constellation_cli.evidence.parts import Parts
from constellation_cli.files import display_name, read_file
from constellation_cli.kind import Kind
from constellation_cli.quote_bundle import QuoteBundle, parse_quote_bundle
from constellation_cli.recognise import recognise
from constellation_cli.registers import parse_registers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_AMD: Final = b"Advanced Micro Devices"  # organisation in every certificate of AMD
# Variant → which key of its TPM has a certificate in the platform's part.
_CERTIFIED_KEYS: Final[Mapping[Variant, str]] = MappingProxyType(
    {
        Variant.QEMU_VTPM: "ek",
        Variant.OPENSTACK_VTPM: "ek",
        Variant.AZURE_TRUSTED_LAUNCH: "ak",
        Variant.GCP_SEV_SNP: "ak",
        Variant.GCP_SEV_ES: "ak",
    },
)
_WITHOUT_TPM: Final = frozenset({Variant.QEMU_TDX, Variant.GCP_TDX})
_PARAVISOR: Final = frozenset({Variant.AZURE_SEV_SNP, Variant.AZURE_TDX})


def assemble(files: Iterable[Path], variant: Variant) -> Evidence:
    """Make evidence of files.

    Args:
        files: one of evidence, or parts in any order.
        variant: what parts become. Evidence says it itself, and the judge compares that with the policy.

    Raises:
        CommandError: a file cannot be read or has no place in the variant, or a part is missing.
    """
    whole, parts = [], Parts(variant)
    for path in files:
        name = display_name(path)
        data = read_file(path)
        try:
            recognised = recognise(data, name)
            if recognised.kind is Kind.EVIDENCE:
                whole.append(Evidence.from_json(recognised.data))
                continue
        except MalformedError as error:
            raise CommandError(f"{name}: {error}", hint=error.hint) from None
        parts.add(recognised.kind, name, recognised.data)
    if not whole:
        return _put_together(parts)
    if len(whole) > 1 or parts:
        raise CommandError(
            "evidence is complete in one file: nothing can be added to it",
            hint="judge one file of evidence at a time, or its parts without it",
        )
    return whole[0]


def _put_together(parts: Parts) -> Evidence:
    technologies, platform = parts.variant.technologies, _platform(parts)
    evidence = Evidence(
        parts.variant,
        snp=_snp(parts) if Technology.SNP in technologies else None,
        tdx=TdxEvidence(parts.need(Kind.TDX_QUOTE)) if Technology.TDX in technologies else None,
        tpm=_tpm(parts) if Technology.TPM in technologies else None,
        platform=platform | _key_certificate(parts),
    )
    parts.check_used()
    return evidence


def _platform(parts: Parts) -> dict[str, bytes]:
    """Use what is of one platform only."""
    platform = {}
    if parts.variant in _PARAVISOR:
        hcl = parts.parse(Kind.HCL_REPORT, parse_hcl)
        platform["runtime_data"] = hcl.runtime_data
        if parts.variant is Variant.AZURE_SEV_SNP:
            parts.add(Kind.SNP_REPORT, "the HCL report", hcl.snp_report)
    if parts.variant in _WITHOUT_TPM and (log := parts.take(Kind.EVENT_LOG)):
        platform["ccel"] = log
    if parts.variant is Variant.AWS_NITRO_TPM and (document := parts.take(Kind.NITRO_DOCUMENT)):
        platform["nitro_document"] = document
    return platform


def _snp(parts: Parts) -> SnpEvidence:
    report = parts.need(Kind.SNP_REPORT)
    if Kind.CERTIFICATE_TABLE in parts:
        entries = parts.parse(Kind.CERTIFICATE_TABLE, parse_certificate_table)
        parts.add_certificates(tuple(entry.data for entry in entries if _AMD in entry.data))
    amd = sorted((der for der in parts.certificates if _AMD in der), key=_distance_from_leaf)
    if not amd:
        raise CommandError(
            "no certificate of the key that signed the SNP report (VCEK or VLEK) is here", hint=_where_to_get(report)
        )
    parts.certificates = [der for der in parts.certificates if der not in amd]
    return SnpEvidence(report, tuple(amd))


def _key_certificate(parts: Parts) -> dict[str, bytes]:
    """Use the certificate of a TPM's key, and those above it; AMD's are used up by then."""
    key = _CERTIFIED_KEYS.get(parts.variant)
    if key is None:
        return {}
    leaf = next((der for der in parts.certificates if not describe_certificate(der)["authority"]), None)
    if leaf is None:
        return {}
    above = b"".join(der for der in parts.certificates if der != leaf)
    parts.certificates = []
    return {f"{key}_certificate": leaf} | ({f"{key}_chain": above} if above else {})


def _distance_from_leaf(der: bytes) -> int:
    """Put VCEK or VLEK first, then ASK or ASVK, then ARK."""
    certificate = parse_certificate(der)
    if not certificate.authority:
        return 0
    return 1 if certificate.issuer != certificate.subject else 2


def _where_to_get(report: bytes) -> str:
    try:
        parsed = parse_report(report)
    except AttestationError:
        return "add the certificate that the host gave beside the report"
    if parsed.product is None or parsed.signing_key is not SigningKey.VCEK or not any(parsed.chip_id):
        return "add the certificate that the host gave beside the report"
    path = vcek_path(parsed.product, parsed.chip_id, parsed.product.tcb(parsed.reported_tcb))
    return f"curl -o vcek.der '{KDS_ADDRESS}{path}'"


def _tpm(parts: Parts) -> TpmEvidence:
    quote = parts.parse(Kind.QUOTE_BUNDLE, parse_quote_bundle) if Kind.QUOTE_BUNDLE in parts else _quote(parts)
    quoted = [
        index
        for selection in parse_quote(quote.attest).selections
        if selection.bank == HashAlgorithm.SHA256
        for index in selection.registers
    ]
    if missing := [str(index) for index in quoted if index not in quote.pcrs]:
        raise CommandError(
            f"the quote is about registers whose values are not here: {', '.join(missing)}",
            hint="tpm2_pcrread sha256 prints all of them",
        )
    return TpmEvidence(
        attest=quote.attest,
        signature=quote.signature,
        pcrs={index: quote.pcrs[index] for index in quoted},
        ak_public=parts.take(Kind.TPM_PUBLIC),
        event_log=parts.take(Kind.EVENT_LOG),
    )


def _quote(parts: Parts) -> QuoteBundle:
    return QuoteBundle(
        attest=parts.need(Kind.TPM_QUOTE),
        signature=parts.need(Kind.TPM_SIGNATURE),
        pcrs=parts.parse(Kind.REGISTERS, parse_registers).get("sha256", {}),
    )
