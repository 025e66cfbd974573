# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Collects evidence of AWS: SEV-SNP instances, and instances with a NitroTPM only."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from attestation.aws.key_info import key_info, key_report_data
from attestation.errors import DeviceError
from attestation.evidence import Evidence
from attestation.tpm.attestation_key import AttestationKey
from attestation.variant import Variant

if TYPE_CHECKING:
    from attestation.snp.issuer import SnpIssuer
    from attestation.tpm.issuer import TpmEvidenceSource

TOOL: Final = "/usr/bin/nitro-tpm-attest"
TIMEOUT: Final = 30.0  # seconds


class NitroDocuments(Protocol):
    """The Nitro system, which signs documents about an instance's NitroTPM."""

    def document(self, *, nonce: bytes, user_data: bytes) -> bytes:
        """Have a document signed.

        Raises:
            DeviceError: it was not.
        """


class NitroTool:
    """Asks by AWS's own program: its vendor command needs a session that is salted with the endorsement key.

    Args:
        path: where the program is (package aws-nitro-tpm-tools).
    """

    def __init__(self, path: str = TOOL) -> None:
        self._path = path

    def document(self, *, nonce: bytes, user_data: bytes) -> bytes:
        """Have a document signed."""
        with tempfile.TemporaryDirectory() as folder:
            arguments = [self._path]
            for name, value in (("nonce", nonce), ("user-data", user_data)):
                (Path(folder) / name).write_bytes(value)
                arguments += [f"--{name}", str(Path(folder) / name)]
            try:
                done = subprocess.run(arguments, capture_output=True, check=True, timeout=TIMEOUT)  # noqa: S603
            except (OSError, subprocess.SubprocessError) as error:
                raise DeviceError(
                    f"{self._path} gave no attestation document: {error}",
                    hint="is the instance attestable, and aws-nitro-tpm-tools in its image?",
                ) from None
        return done.stdout


class AwsSnpIssuer:
    """Issues evidence of an instance with SEV-SNP.

    Args:
        tpm: NitroTPM.
        snp: what has the secure processor sign.
    """

    variant: Final = Variant.AWS_SEV_SNP

    def __init__(self, tpm: TpmEvidenceSource, snp: SnpIssuer) -> None:
        self._tpm = tpm
        self._snp = snp

    def issue(self, binding: bytes) -> Evidence:
        """Quote the registers, and have a report signed about the key that signed the quote.

        Args:
            binding: 32 bytes to be bound to.

        Raises:
            DeviceError: a device refused or failed.
            EndorsementError: the host does not provide the VLEK.
        """
        tpm = self._tpm.evidence(binding)
        report = self._snp.issue(key_report_data(AttestationKey.from_public_area(tpm.ak_public)))
        return Evidence(self.variant, tpm=tpm, snp=report)


class NitroTpmIssuer:
    """Issues evidence of an instance with a NitroTPM.

    Args:
        tpm: NitroTPM.
        documents: the Nitro system; None where the key is known by AWS's API.
    """

    variant: Final = Variant.AWS_NITRO_TPM

    def __init__(self, tpm: TpmEvidenceSource, documents: NitroDocuments | None = None) -> None:
        self._tpm = tpm
        self._documents = documents

    def issue(self, binding: bytes) -> Evidence:
        """Quote the registers, and have a document signed about the key that signed the quote.

        Args:
            binding: 32 bytes to be bound to.

        Raises:
            DeviceError: the TPM or the Nitro system refused or failed.
        """
        tpm = self._tpm.evidence(binding)
        platform = {}
        if self._documents is not None:
            key = AttestationKey.from_public_area(tpm.ak_public)
            platform["nitro_document"] = self._documents.document(nonce=binding, user_data=key_info(key))
        return Evidence(self.variant, tpm=tpm, platform=platform)
