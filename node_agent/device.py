# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The device that speaks for this machine: its evidence, its registers, and the mark of its cluster in one of them.

Each use opens the device anew and closes it: what failed once never spoils the next, and nobody is kept out.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from attestation.issuer import open_issuer
from attestation.variant import Technology, Variant
from node_agent.console import SHOWN_REGISTERS
from node_agent.errors import PermanentError
from node_agent.files import write_public

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from attestation.evidence import Evidence

MARK_REGISTER: Final = 15
CLUSTER_ID_FILE: Final = "cluster-id"
CLUSTER_ID_SIZE: Final = 32  # bytes


class NodeDevice:
    """Speaks for this machine; an `attestation.issuer.Issuer`.

    Args:
        variant: platform.
        run: folder for what this boot leaves.
        tpm: address of the TPM; empty for the kernel's.
    """

    def __init__(self, variant: Variant, run: Path, *, tpm: str = "") -> None:
        self.variant = variant
        self._cluster_id = run / CLUSTER_ID_FILE
        self._tpm = tpm
        self._turn = threading.Lock()

    def issue(self, binding: bytes) -> Evidence:
        """Have the devices sign.

        Args:
            binding: 32 bytes to be bound to.

        Raises:
            AttestationError: a device failed.
        """
        with self._turn, open_issuer(self.variant, tpm=self._tpm) as issuer:
            return issuer.issue(binding)

    def registers(self) -> dict[int, bytes]:
        """Read the registers that say what booted; none on platforms without a TPM.

        Raises:
            AttestationError: the TPM failed.
        """
        if Technology.TPM not in self.variant.technologies:
            return {}
        from attestation.tpm.client import Tpm  # noqa: PLC0415 - platforms without a TPM do not pay for it

        with self._turn, Tpm.open(*self._address) as tpm:
            return tpm.pcr_read(SHOWN_REGISTERS)

    def marked(self, registers: Mapping[int, bytes]) -> bool:
        """Tell whether this boot belongs to a cluster already.

        Args:
            registers: as they are now.
        """
        return any(registers[MARK_REGISTER]) if registers else self._cluster_id.exists()

    def mark(self, cluster_id: bytes) -> None:
        """Mark this boot: from now on its evidence says whose it is, and no other cluster takes it.

        1. The register is still zero (attack: two clusters in one boot).
        2. It is extended before anything is written: a file never claims what no register says.

        Args:
            cluster_id: 32 bytes.

        Raises:
            PermanentError: it is marked already.
            AttestationError: the TPM failed.
        """
        if len(cluster_id) != CLUSTER_ID_SIZE:
            raise PermanentError(f"cluster ID: expected {CLUSTER_ID_SIZE} bytes, got {len(cluster_id)}")
        if self.marked(self.registers()):  # 1
            raise PermanentError("this boot belongs to a cluster already", hint="boot the machine again")
        self._extend(cluster_id)  # 2
        write_public(self._cluster_id, f"{cluster_id.hex()}\n".encode("ascii"))

    def _extend(self, cluster_id: bytes) -> None:
        if Technology.TPM in self.variant.technologies:
            from attestation.tpm.client import Tpm  # noqa: PLC0415 - as above

            with self._turn, Tpm.open(*self._address) as tpm:
                tpm.pcr_event(MARK_REGISTER, cluster_id)

    @property
    def _address(self) -> tuple[str, ...]:
        return (self._tpm,) if self._tpm else ()
