# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""TPM structures in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attestation.tpm.algorithms import ALG_NULL, HashAlgorithm, SignatureScheme
from attestation.tpm.attestation_key import AttestationKey
from attestation.tpm.public import ObjectAttributes, parse_public
from attestation.tpm.quote import MAGIC, parse_quote
from attestation.tpm.signature import parse_signature
from constellation_cli.description.words import bits, name_or_number
from constellation_cli.quote_bundle import parse_quote_bundle

if TYPE_CHECKING:
    from attestation.tpm.public import PublicArea
    from attestation.tpm.structures import PcrSelection


def describe_quote(data: bytes) -> dict[str, Any]:
    """Put a TPMS_ATTEST into words."""
    quote = parse_quote(data)
    return {
        "made_by_tpm": quote.magic == MAGIC,
        "extra_data": quote.extra_data.hex(),
        "registers": {algorithm_name(selection.bank): _indexes(selection) for selection in quote.selections},
        "pcr_digest": quote.pcr_digest.hex(),
        "qualified_signer": quote.qualified_signer.hex(),
        "clock": {
            "milliseconds": quote.clock,
            "safe": quote.safe,
            "resets": quote.reset_count,
            "restarts": quote.restart_count,
        },
        "firmware_version": f"{quote.firmware_version:#x}",
    }


def describe_bundle(data: bytes) -> dict[str, Any]:
    """Put a quote with its signature and registers into words."""
    bundle = parse_quote_bundle(data)
    return {
        "quote": describe_quote(bundle.attest),
        "signature": describe_signature(bundle.signature),
        "pcrs": {str(index): value.hex() for index, value in bundle.pcrs.items()},
    }


def describe_signature(data: bytes) -> dict[str, Any]:
    """Put a TPMT_SIGNATURE into words."""
    signature = parse_signature(data)
    return {
        "scheme": signature.scheme.name,
        "hash": signature.hash_algorithm.label,
        "value": signature.value.hex(),
    }


def describe_public(data: bytes) -> dict[str, Any]:
    """Put a TPMT_PUBLIC into words."""
    public = parse_public(data)
    return {
        "type": f"{public.key_type.name} of {public.key.key_size} bits",
        "name": public.name.hex(),
        "identity": AttestationKey.from_public_area(data).identity.hex(),
        "attributes": bits(public.attributes.value, ObjectAttributes),
        "scheme": _scheme(public),
        "policy": public.policy.hex(),
        "spki_sha256": AttestationKey(public.key).fingerprint.hex(),
    }


def algorithm_name(number: int) -> str:
    """Name a TPM_ALG_ID of a hash; one that is not known is shown by its number."""
    return name_or_number(number, HashAlgorithm).lower()


def _indexes(selection: PcrSelection) -> list[int]:
    return list(selection.registers)


def _scheme(public: PublicArea) -> str:
    if public.scheme == ALG_NULL:
        return "none"
    return f"{name_or_number(public.scheme, SignatureScheme)} with {algorithm_name(public.scheme_hash)}"
