# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The config drive: how a local machine learns who it is. Untrusted by the node, as every metadata.

An ISO 9660 file system with label CONSTELLATION and the file `metadata.json`: what the description says, and `network`,
which tells the addresses on the segment: `[{"mac": "52:54:00:…", "addresses": ["192.168.77.1/24"]}]`.
"""

from __future__ import annotations

import hashlib
import json
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from constellation_engine.errors import MachineSpecError
from constellation_engine.machines.iso9660 import one_file

if TYPE_CHECKING:
    from constellation_engine.machines.spec import MachineSpec

LABEL: Final = "CONSTELLATION"
FILE: Final = "metadata.json"
MAX_SIZE: Final = 64 << 10  # bytes; a node reads no more


class Nic(IntEnum):
    """The network cards of a machine, in order."""

    USER = 0
    SEGMENT = 1


def mac_address(name: str, nic: Nic) -> str:
    """Give the address of a network card: the same for every boot, another for every machine of a cluster.

    Args:
        name: of the machine.
        nic: which card.
    """
    digest = hashlib.sha256(f"{name}/{nic.value}".encode()).digest()
    return "52:54:00:" + digest[:3].hex(":")


def config_drive(name: str, spec: MachineSpec) -> bytes:
    """Make the file system.

    Args:
        name: of the machine.
        spec: its description.

    Raises:
        MachineSpecError: the metadata are too long, cannot be JSON, or say already what the description says.
    """
    record = dict(spec.metadata)
    if "network" in record:
        raise MachineSpecError("metadata: expected no key network: it is made of the field addresses")
    if spec.segment:
        addresses = [str(address) for address in spec.addresses]
        record["network"] = [{"mac": mac_address(name, Nic.SEGMENT), "addresses": addresses}]
    try:
        document = json.dumps(record, indent=2, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise MachineSpecError(f"metadata: expected what JSON can say: {error}") from None
    if len(document) > MAX_SIZE:
        raise MachineSpecError(f"metadata: expected at most {MAX_SIZE} bytes, got {len(document)}")
    return one_file(LABEL, FILE, document)
