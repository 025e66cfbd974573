# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Evidence of a TPM: quote its registers with the platform's attestation key, and add what a verifier needs.

Which key signs is the platform's choice. Where we choose, it is a primary key of the endorsement hierarchy from a
fixed template: the same after every boot, and stored nowhere.
"""

from __future__ import annotations

from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from attestation.errors import DeviceError
from attestation.evidence import PCR_COUNT, TpmEvidence
from attestation.tpm.nv import nv_read, nv_write
from attestation.tpm.quote import parse_quote
from attestation.tpm.signature import parse_signature
from attestation.tpm.structures import Hierarchy
from attestation.tpm.templates import ecc_attestation_key, rsa_attestation_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from attestation.tpm.client import LoadedObject, Tpm

BOOT_LOG: Final = Path("/sys/kernel/security/tpm0/binary_bios_measurements")
MAX_TRIES: Final = 3
AZURE_KEY: Final = 0x81000003
GCP_RSA_TEMPLATE: Final = 0x01C10001
GCP_ECC_TEMPLATE: Final = 0x01C10003


class AttestationKeySource(Enum):
    """Where the attestation key of a platform comes from."""

    ECC_PRIMARY = "our P-256 template"
    RSA_PRIMARY = "our RSA-2048 template"
    AZURE = "stored key 0x81000003"
    GCP_RSA = "template in NV index 0x01c10001"
    GCP_ECC = "template in NV index 0x01c10003"

    @contextmanager
    def key(self, tpm: Tpm) -> Iterator[LoadedObject]:
        """Find or make the key.

        Raises:
            TpmError: the platform did not provide it.
        """
        if self is AttestationKeySource.AZURE:
            yield tpm.persistent(AZURE_KEY)
            return
        with tpm.primary(Hierarchy.ENDORSEMENT, self._template(tpm)) as key:
            yield key

    def _template(self, tpm: Tpm) -> bytes:
        if self is AttestationKeySource.ECC_PRIMARY:
            return ecc_attestation_key()
        if self is AttestationKeySource.RSA_PRIMARY:
            return rsa_attestation_key()
        return nv_read(tpm, GCP_RSA_TEMPLATE if self is AttestationKeySource.GCP_RSA else GCP_ECC_TEMPLATE)


class TpmEvidenceSource(Protocol):
    """What the issuers of platforms need of a TPM: `TpmIssuer`, or `attestation.testing.tpm.SoftwareTpm`."""

    def evidence(self, binding: bytes) -> TpmEvidence:
        """Quote all registers together with a binding."""

    def nv_read(self, index: int) -> bytes:
        """Read an NV index."""

    def nv_write(self, index: int, data: bytes) -> None:
        """Write an NV index."""


class TpmIssuer:
    """Makes evidence with a TPM.

    Args:
        tpm: the TPM.
        source: where its attestation key comes from.
        boot_log: file with the boot log; evidence goes without one where it does not exist.
    """

    def __init__(
        self,
        tpm: Tpm,
        source: AttestationKeySource = AttestationKeySource.ECC_PRIMARY,
        *,
        boot_log: Path = BOOT_LOG,
    ) -> None:
        self._tpm = tpm
        self._source = source
        self._boot_log = boot_log

    def evidence(self, binding: bytes) -> TpmEvidence:
        """Quote all registers together with a binding.

        Args:
            binding: 1 to 64 bytes that the quote will carry.

        Raises:
            TpmError: the TPM refused, or has no such key.
            DeviceError: the TPM failed, or its registers do not hold still.
        """
        registers = range(PCR_COUNT)
        with self._source.key(self._tpm) as key:
            for _ in range(MAX_TRIES):
                pcrs = self._tpm.pcr_read(registers)
                quote = self._tpm.quote(key, binding, registers)
                # Somebody may extend a register between the two commands; then the quote is about other values.
                algorithm = parse_signature(quote.signature).hash_algorithm
                if algorithm.digest(b"".join(pcrs.values())) == parse_quote(quote.attest).pcr_digest:
                    return TpmEvidence(quote.attest, quote.signature, pcrs, key.public, self._read_boot_log())
        raise DeviceError(f"registers were extended during each of {MAX_TRIES} quotes", hint="try again after the boot")

    def nv_read(self, index: int) -> bytes:
        """Read an NV index."""
        return nv_read(self._tpm, index)

    def nv_write(self, index: int, data: bytes) -> None:
        """Write an NV index."""
        nv_write(self._tpm, index, data)

    def _read_boot_log(self) -> bytes:
        try:
            return self._boot_log.read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise DeviceError(
                f"cannot read the boot log {self._boot_log}: {error.strerror}", hint="run as root"
            ) from None
