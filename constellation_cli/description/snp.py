# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""SNP reports in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from attestation.snp.report import GuestPolicy, PlatformInfo, Report, parse_report
from constellation_cli.description.words import bits

if TYPE_CHECKING:
    from attestation.snp.product import Product

_ABI_BITS: Final = 16  # of the guest policy: least ABI version that the guest wants, minor byte first


def describe_report(data: bytes) -> dict[str, Any]:
    """Put a report into words."""
    report = parse_report(data)
    return {
        "version": report.version,
        "product": _product(report),
        "cpu": None if report.family is None else _cpu(report),
        "guest_svn": report.guest_svn,
        "policy": _policy(report.policy),
        "vmpl": report.vmpl,
        "signing_key": report.signing_key.name if report.signing_key is not None else "unknown",
        "signature_algorithm": report.signature_algorithm,
        "platform_info": bits(report.platform_info, PlatformInfo),
        "author_key_enabled": report.author_key_enabled,
        "chip_key_masked": report.chip_key_masked,
        "measurement": report.measurement.hex(),
        "report_data": report.report_data.hex(),
        "host_data": report.host_data.hex(),
        "id_key_digest": report.id_key_digest.hex(),
        "author_key_digest": report.author_key_digest.hex(),
        "family_id": report.family_id.hex(),
        "image_id": report.image_id.hex(),
        "report_id": report.report_id.hex(),
        "report_id_ma": report.report_id_ma.hex(),
        "chip_id": report.chip_id.hex(),
        "tcb": {name: tcb(getattr(report, f"{name}_tcb"), report.product) for name in _TCBS},
        "firmware": {"current": str(report.current_firmware), "committed": str(report.committed_firmware)},
        "mitigations": {
            "launch": _number(report.launch_mitigations),
            "current": _number(report.current_mitigations),
        },
        "unknown": list(report.unknown),
    }


def tcb(raw: bytes, product: Product | None) -> dict[str, Any]:
    """Put a TCB version into words: its components if the product is known, its bytes in any case."""
    return {"raw": raw.hex()} | (product.tcb(raw) if product is not None else {})


def _product(report: Report) -> str:
    if report.product is not None:
        return str(report.product)
    return "named by the certificate only" if report.family is None else "unknown"


def _cpu(report: Report) -> dict[str, Any]:
    return {name: _number(getattr(report, name)) for name in ("family", "model", "stepping")}


def _policy(value: int) -> dict[str, Any]:
    abi, flags = value & ((1 << _ABI_BITS) - 1), value >> _ABI_BITS << _ABI_BITS
    return {**bits(flags, GuestPolicy), "value": f"{value:#x}", "abi": f"{abi >> 8}.{abi & 0xFF}"}


def _number(value: int | None) -> str | None:
    return None if value is None else f"{value:#x}"


_TCBS: Final = ("current", "reported", "committed", "launch")
