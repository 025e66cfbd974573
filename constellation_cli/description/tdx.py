# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""TDX quotes in words; SGX quotes by name."""

from __future__ import annotations

import struct
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from attestation.tdx.attributes import TdAttributes, Xfam, flag_names
from attestation.tdx.quote import parse_quote
from constellation_cli.description.certificate import describe_certificate

if TYPE_CHECKING:
    from enum import IntFlag

    from attestation.tdx.quote import EnclaveReport, TdReport


def describe_quote(data: bytes) -> dict[str, Any]:
    """Put a TD quote into words."""
    quote = parse_quote(data)
    return {
        "version": quote.version,
        "body": quote.body_type.name,
        "vendor": quote.vendor.hex(),
        "user_data": quote.user_data.hex(),
        "report": _report(quote.report),
        "quoting_enclave": _enclave(quote.signature.enclave),
        "trailing_bytes": len(quote.trailing),
        "certificates": [describe_certificate(der) for der in quote.signature.certificates],
    }


def describe_sgx_quote(data: bytes) -> dict[str, Any]:
    """Name an SGX quote, which is about an enclave and proves nothing about a machine."""
    version, key_type = struct.unpack_from("<HH", data)
    return {"version": version, "attestation_key_type": key_type, "supported": False}


def _report(report: TdReport) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for field in fields(report):
        value = getattr(report, field.name)
        flags = _FLAGS.get(field.name)
        if value is not None:
            record[field.name] = value.hex() if flags is None else {"raw": value.hex(), "set": _names(flags, value)}
    return record


def _names(flags: type[IntFlag], value: bytes) -> list[str]:
    return [name.lower() for name in flag_names(flags, value)]


def _enclave(enclave: EnclaveReport) -> dict[str, Any]:
    return {
        "mr_enclave": enclave.mr_enclave.hex(),
        "mr_signer": enclave.mr_signer.hex(),
        "product_id": enclave.product_id,
        "security_version": enclave.security_version,
        "cpu_svn": enclave.cpu_svn.hex(),
        "attributes": enclave.attributes.hex(),
    }


_FLAGS: Final[dict[str, type[IntFlag]]] = {"td_attributes": TdAttributes, "xfam": Xfam}
