# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`provider::constellation::snp_launch_digest`: what SEV-SNP will measure when a machine is launched."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

from terraform_provider_constellation.errors import blaming
from terraform_provider_constellation.plugin.api import ArgumentError, function

_CPUS: Final = range(1, 513)


@function
def snp_launch_digest(
    firmware: Annotated[str, "Path of OVMF, built from OvmfPkg/AmdSev, which looks at what is booted."],
    kernel: Annotated[str, "Path of the kernel."],
    initrd: Annotated[str, "Path of the initrd."],
    command_line: Annotated[str, "Command line of the kernel."],
    cpus: Annotated[int, "Number of virtual processors."],
    cpu_model: Annotated[str, "Their model: `EPYC-v4`, `EPYC-Rome`, `EPYC-Milan`, `EPYC-Genoa` or `EPYC-Turin`."],
) -> str:
    """Predict the launch digest of a machine with AMD SEV-SNP.

    The digest covers firmware, kernel, initrd, command line and processors; 96 hexadecimal digits. It is computed by
    sev-snp-measure: `pip install 'constellation-kubernetes[build]'`.
    """
    from constellation_engine.machines.launch_digest import Processors, launch_digests  # noqa: PLC0415 - started often
    from constellation_engine.machines.spec import DirectBoot, VcpuModel  # noqa: PLC0415

    files = {"firmware": Path(firmware), "kernel": Path(kernel), "initrd": Path(initrd)}
    for name, path in files.items():
        if not path.is_file():
            raise ArgumentError(name, f"Expected a file, there is none at {path}.")
    if cpus not in _CPUS:
        raise ArgumentError("cpus", f"Expected {_CPUS[0]} to {_CPUS[-1]}, got {cpus}.")
    if cpu_model not in tuple(VcpuModel):
        raise ArgumentError("cpu_model", f'Expected one of {", ".join(VcpuModel)}, got "{cpu_model:.40}".')
    processors = Processors(cpus, VcpuModel(cpu_model))
    with blaming(""):
        boot = DirectBoot(files["kernel"], files["initrd"], command_line)
        return launch_digests(files["firmware"], boot, [processors])[processors].hex()
