# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Local machines: real ones, in QEMU, with real firmware and a TPM of their own; no root, no daemon.

spec = MachineSpec(image=Path("node.raw"), metadata={"version": 1, ...}, forwards=(Forward("init", 9000),))
machine = Machine.create(Path("machines/node-0"), spec)
machine.start()
machine.spec.host_port("init")  # of 127.0.0.1
machine.destroy()
"""

from constellation_engine.machines.acceleration import Accelerator, Probe, probe_kvm
from constellation_engine.machines.launch_manifest import LaunchManifest, key_digest
from constellation_engine.machines.machine import Machine, MachineState, MachineStatus, machines
from constellation_engine.machines.spec import (
    DirectBoot,
    Forward,
    MachineSpec,
    Segment,
    SevSnp,
    TpmInterface,
    VcpuModel,
    Vtpm,
)

__all__ = [
    "Accelerator",
    "DirectBoot",
    "Forward",
    "LaunchManifest",
    "Machine",
    "MachineSpec",
    "MachineState",
    "MachineStatus",
    "Probe",
    "Segment",
    "SevSnp",
    "TpmInterface",
    "VcpuModel",
    "Vtpm",
    "key_digest",
    "machines",
    "probe_kvm",
]
