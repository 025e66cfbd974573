# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The folder of a machine: everything that it has, and nothing of it elsewhere.

| file | what |
|---|---|
| `spec.json` | its description |
| `disk.qcow2`, `image.stamp` | what differs from the image, and how one knows the image |
| `state.raw` | the state disk |
| `config.iso` | the config drive |
| `firmware.*`, `variables.*` | OVMF and its variables |
| `tpm/` | state of the TPM, kept over power cycles |
| `console.log`, `qemu.log`, `tpm.log`, `segment.pcap` | what is written down |
| `console.sock`, `qmp.sock` | the serial console, the QEMU Machine Protocol; there while it runs |
| `qemu.pid`, `tpm.pid` | process ids, for people: `processes` says how processes are found |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from constellation_engine.machines.processes import Marker

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths of one machine.

    Attributes:
        folder: absolute, without links.
    """

    folder: Path

    @property
    def spec(self) -> Path:
        """The description."""
        return self.folder / "spec.json"

    @property
    def disk(self) -> Path:
        """What differs from the image."""
        return self.folder / "disk.qcow2"

    @property
    def image_stamp(self) -> Path:
        """How one knows the image that the machine was made of."""
        return self.folder / "image.stamp"

    @property
    def state_disk(self) -> Path:
        """The state disk, raw and sparse."""
        return self.folder / "state.raw"

    @property
    def config_drive(self) -> Path:
        """The config drive."""
        return self.folder / "config.iso"

    @property
    def tpm_state(self) -> Path:
        """Folder in which the TPM keeps what survives a power cycle."""
        return self.folder / "tpm"

    @property
    def tpm_log(self) -> Path:
        """What swtpm says."""
        return self.folder / "tpm.log"

    @property
    def qemu_log(self) -> Path:
        """What QEMU says."""
        return self.folder / "qemu.log"

    @property
    def console_log(self) -> Path:
        """Everything that the machine wrote to its serial console, of all its boots."""
        return self.folder / "console.log"

    @property
    def console_socket(self) -> Path:
        """The serial console, both directions."""
        return self.folder / "console.sock"

    @property
    def qmp_socket(self) -> Path:
        """The QEMU Machine Protocol."""
        return self.folder / "qmp.sock"

    @property
    def capture(self) -> Path:
        """What passed on the segment (pcap)."""
        return self.folder / "segment.pcap"

    @property
    def qemu(self) -> Marker:
        """What QEMU's command line says of this machine and of no other."""
        return Marker("-pidfile", str(self.folder / "qemu.pid"))

    @property
    def tpm(self) -> Marker:
        """The same of swtpm."""
        return Marker("--pid", f"file={self.folder / 'tpm.pid'}")
