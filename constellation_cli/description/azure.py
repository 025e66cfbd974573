# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Reports of Azure's paravisor in words."""

from __future__ import annotations

import hashlib
from typing import Any

from attestation.azure.hcl import HashType, ReportType, parse_hcl
from attestation.azure.runtime_data import parse_runtime_data
from attestation.errors import MalformedError
from attestation.tpm.attestation_key import AttestationKey
from constellation_cli.description.snp import describe_report
from constellation_cli.description.words import name_or_number


def describe_hcl(data: bytes) -> dict[str, Any]:
    """Put an HCL report into words, with the SNP report inside it."""
    hcl = parse_hcl(data)
    return {
        "version": hcl.version,
        "status": hcl.status,
        "hardware": name_or_number(hcl.report_type, ReportType),
        "hash": name_or_number(hcl.hash_type, HashType),
        "runtime_data": _hashed_runtime_data(hcl.runtime_data),
        "report": describe_report(hcl.snp_report) if hcl.report_type == ReportType.SNP else hcl.hardware.hex(),
    }


def _hashed_runtime_data(data: bytes) -> dict[str, Any]:
    sha256 = {"sha256": hashlib.sha256(data).hexdigest()}
    try:
        return sha256 | describe_runtime_data(data)
    except MalformedError as error:
        return sha256 | {"error": str(error)}


def describe_runtime_data(data: bytes) -> dict[str, Any]:
    """Put the JSON that names the vTPM's key into words."""
    runtime = parse_runtime_data(data)
    return {
        "attestation_key": AttestationKey(runtime.attestation_key).fingerprint.hex(),
        "user_data": runtime.user_data.hex(),
        "configuration": dict(runtime.configuration),
    }
