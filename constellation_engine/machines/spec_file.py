# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`spec.json`: the description of a machine as it is kept in its folder, version 1.

The folder is nobody else's, so that whatever is wrong here was damaged, not forged.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attestation.variant import Variant
from constellation_engine.errors import MachineNotFoundError, MachineSpecError
from constellation_engine.machines.launch_manifest import LaunchManifest
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

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION: Final = 1


def to_json(spec: MachineSpec) -> str:
    """Write a description.

    Raises:
        MachineSpecError: its metadata cannot be JSON.
    """
    record = {name: getattr(spec, name) for name in MachineSpec.__slots__}
    record |= {
        "version": VERSION,
        "forwards": [asdict(forward) for forward in spec.forwards],
        "segment": asdict(spec.segment) if spec.segment else None,
        "platform": {"variant": str(spec.platform.variant), **asdict(spec.platform)},
    }
    try:
        return json.dumps(record, indent=2, sort_keys=True, default=_text) + "\n"
    except (TypeError, ValueError) as error:
        raise MachineSpecError(f"metadata: expected what JSON can say: {error}") from None


def read_spec(file: Path) -> MachineSpec:
    """Read the description of a machine.

    Raises:
        MachineNotFoundError: there is none.
        MachineSpecError: it is damaged.
    """
    try:
        return from_json(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise MachineNotFoundError(f"{file.parent}: expected a machine, there is none") from None
    except (OSError, MachineSpecError) as error:
        hint = "a machine without it can only be destroyed"
        raise MachineSpecError(f"{file}: {error}", hint=hint) from None


def from_json(text: str) -> MachineSpec:
    """Read what `to_json` wrote.

    Raises:
        MachineSpecError: nobody wrote this.
    """
    try:
        record = json.loads(text)
        if record.pop("version") != VERSION:
            raise MachineSpecError(f"expected version {VERSION}")
        segment = record.pop("segment")
        return MachineSpec(
            image=Path(record.pop("image")),
            forwards=tuple(Forward(**forward) for forward in record.pop("forwards")),
            addresses=tuple(IPv4Interface(address) for address in record.pop("addresses")),
            segment=Segment(IPv4Address(segment["group"]), segment["port"]) if segment else None,
            platform=_platform(record.pop("platform")),
            **record,
        )
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise MachineSpecError(f"expected the description of a machine: {error}") from None


def _platform(record: Mapping[str, Any]) -> Vtpm | SevSnp:
    if record["variant"] == str(Variant.QEMU_VTPM):
        return Vtpm(TpmInterface(record["interface"]))
    if record["variant"] != str(Variant.QEMU_SNP):
        raise MachineSpecError(f"no local machine can be of variant {record['variant']!r:.40}")
    boot = record["boot"]
    return SevSnp(
        boot=DirectBoot(Path(boot["kernel"]), Path(boot["initrd"]), boot["command_line"]),
        manifest=LaunchManifest(**record["manifest"]),
        model=VcpuModel(record["model"]),
        policy=record["policy"],
    )


def _text(value: object) -> str:
    if isinstance(value, Path | IPv4Address):  # an IPv4Interface is an IPv4Address
        return str(value)
    raise TypeError(f"{type(value).__name__} is no JSON")
