# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A way to a TPM through the TPM2 Software Stack, for whoever has `tpm2-pytss` (extra [agent-tss]).

It reaches whatever the stack reaches: the resource manager daemon, SPI and I2C adapters, other simulators. The
commands are the same bytes as on every other way. After "TCG TSS 2.0 TPM Command Transmission Interface API".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attestation.errors import DeviceError, MissingExtraError

if TYPE_CHECKING:
    from tpm2_pytss import TCTILdr


class TssDevice:
    """A TPM behind a TCTI.

    Args:
        tcti: name and configuration as the stack's loader takes them, e.g. "device:/dev/tpmrm0", "tabrmd",
            "swtpm:host=127.0.0.1,port=2321".

    Raises:
        MissingExtraError: `tpm2-pytss` is not installed.
        DeviceError: the stack cannot load or open it.
    """

    def __init__(self, tcti: str) -> None:
        try:
            from tpm2_pytss import TCTILdr, TSS2_Exception  # noqa: PLC0415 - an extra
        except ImportError:
            raise MissingExtraError("tpm2-pytss", "agent-tss") from None
        self._error = TSS2_Exception
        try:
            self._tcti: TCTILdr = TCTILdr.parse(tcti)
        except (TSS2_Exception, ValueError) as error:
            raise DeviceError(f"the TSS cannot open {tcti!r}: {error}") from None

    def transact(self, command: bytes) -> bytes:
        """Send a command and wait for the response."""
        try:
            self._tcti.transmit(command)
            return bytes(self._tcti.receive())
        except self._error as error:
            raise DeviceError(f"the TPM behind the TSS failed: {error}") from None

    def close(self) -> None:
        """Let go of the TCTI."""
        self._tcti.close()
