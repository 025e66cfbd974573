# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The kinds of files that the commands know."""

from __future__ import annotations

import importlib
from enum import Enum
from typing import Any


class Kind(Enum):
    """A kind of file. The value is its name in JSON; the title is for people.

    The third word says who puts such a file into words: module and function in `constellation_cli.description`.
    """

    SNP_REPORT = "snp-report", "SEV-SNP attestation report", "snp.describe_report"
    CERTIFICATE_TABLE = "snp-certificate-table", "SNP certificate table", "certificate_table.describe_table"
    TDX_QUOTE = "tdx-quote", "TDX quote", "tdx.describe_quote"
    SGX_QUOTE = "sgx-quote", "SGX quote", "tdx.describe_sgx_quote"
    HCL_REPORT = "hcl-report", "Azure HCL report", "azure.describe_hcl"
    RUNTIME_DATA = "azure-runtime-data", "Azure runtime data (JSON)", "azure.describe_runtime_data"
    NITRO_DOCUMENT = "nitro-document", "AWS Nitro attestation document", "aws.describe_document"
    TPM_QUOTE = "tpm-quote", "TPM quote (TPMS_ATTEST)", "tpm.describe_quote"
    QUOTE_BUNDLE = "tpm-quote-bundle", "TPM quote with registers (JSON)", "tpm.describe_bundle"
    TPM_SIGNATURE = "tpm-signature", "TPM signature (TPMT_SIGNATURE)", "tpm.describe_signature"
    TPM_PUBLIC = "tpm-public", "TPM public area (TPMT_PUBLIC)", "tpm.describe_public"
    EVENT_LOG = "event-log", "boot event log (TCG or CCEL)", "event_log.describe_event_log"
    CERTIFICATE = "certificate", "X.509 certificate or chain, DER or PEM", "certificate.describe_certificates"
    CRL = "crl", "X.509 revocation list, DER or PEM", "revocation_list.describe_list"
    EVIDENCE = "evidence", "Constellation evidence (JSON)", "evidence.describe_evidence"
    POLICY = "policy", "Constellation policy (JSON or YAML)", "policy.describe_policy"
    MEASUREMENTS = "measurements", "predicted measurements (JSON)", "measurements.describe_measurements"
    REGISTERS = "registers", "register values (JSON, or what tpm2_pcrread prints)", "registers.describe_registers"

    def __init__(self, slug: str, title: str, describer: str) -> None:
        self.slug = slug
        self.title = title
        self._describer = describer

    def describe(self, data: bytes) -> dict[str, Any]:
        """Put such a file into words: names of fields → plain values, bytes as hexadecimal text.

        Raises:
            AttestationError: the file is broken.
        """
        module, _, function = self._describer.partition(".")
        describe = getattr(importlib.import_module(f"constellation_cli.description.{module}"), function)
        fields: dict[str, Any] = describe(data)
        return fields
