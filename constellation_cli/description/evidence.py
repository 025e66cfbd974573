# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Our evidence in words: each part by the words of its own format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attestation.errors import AttestationError
from attestation.evidence import Evidence
from constellation_cli.kind import Kind
from constellation_cli.recognise import recognise

if TYPE_CHECKING:
    from attestation.evidence import SnpEvidence, TpmEvidence


def describe_evidence(data: bytes) -> dict[str, Any]:
    """Put evidence into words. A part that is broken says so in its place.

    Raises:
        MalformedError: the JSON is not that of evidence.
    """
    evidence = Evidence.from_json(data)
    record: dict[str, Any] = {"variant": evidence.variant.value, "sha256": evidence.digest().hex()}
    if evidence.tpm is not None:
        record["tpm"] = _tpm(evidence.tpm)
    if evidence.snp is not None:
        record["snp"] = _snp(evidence.snp)
    if evidence.tdx is not None:
        record["tdx"] = {"quote": _part(Kind.TDX_QUOTE, evidence.tdx.quote)}
    if evidence.platform:
        record["platform"] = {name: _unknown_part(value) for name, value in evidence.platform.items()}
    return record


def _tpm(tpm: TpmEvidence) -> dict[str, Any]:
    return {
        "quote": _part(Kind.TPM_QUOTE, tpm.attest),
        "signature": _part(Kind.TPM_SIGNATURE, tpm.signature),
        "ak_public": _part(Kind.TPM_PUBLIC, tpm.ak_public) if tpm.ak_public else None,
        "pcrs": {str(index): value.hex() for index, value in tpm.pcrs.items()},
        "event_log": _part(Kind.EVENT_LOG, tpm.event_log) if tpm.event_log else None,
    }


def _snp(snp: SnpEvidence) -> dict[str, Any]:
    return {
        "report": _part(Kind.SNP_REPORT, snp.report),
        "certificates": [_part(Kind.CERTIFICATE, der) for der in snp.certificates],
    }


def _part(kind: Kind, data: bytes) -> dict[str, Any]:
    try:
        return kind.describe(data)
    except AttestationError as error:
        return {"error": str(error), "bytes": len(data)}


def _unknown_part(data: bytes) -> dict[str, Any]:
    """Put what a cloud adds into words, where it is a format of its own."""
    try:
        recognised = recognise(data, "this part")
    except AttestationError:
        return {"bytes": len(data), "hex": data[:64].hex()}
    return {"kind": recognised.kind.slug, **_part(recognised.kind, recognised.data)}
