# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The machines of a local cluster: names, addresses on the segment that they share, ports of this host."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import TYPE_CHECKING, Final

import bcrypt

from constellation_core.names import JOIN_NODE_PORT, RECOVERY_PORT, VERIFICATION_NODE_PORT
from constellation_core.networks import API_ENDPOINT, API_PORT
from constellation_core.roles import Role
from constellation_engine.cluster.cluster_verdict import Endpoint
from constellation_engine.machines import Forward, Machine, MachineSpec, Segment, machines
from constellation_engine.node_image.image_folder import ImageFile, ImageFolder

if TYPE_CHECKING:
    from pathlib import Path

    from attestation.policy import Policy
    from constellation_engine.local_cluster.workspace import Workspace

SEGMENT: Final = IPv4Network("192.168.77.0/24")
"""Where machines reach one another: nothing that a cluster has inside (10.96.0.0/12, 10.213.0.0/16, 10.244.0.0/16)."""
INIT_PORT: Final = 9000
LOOPBACK: Final = "127.0.0.1"

_FIRST: Final = {Role.CONTROL_PLANE: 11, Role.WORKER: 101}  # last byte of an address
_BCRYPT_ROUNDS: Final = 10  # the secret is random: the hash only has to hide it


@dataclass(frozen=True, slots=True)
class Place:
    """One machine of a cluster.

    Attributes:
        name: of machine and node.
        role: what it is to be.
        address: on the segment.
    """

    name: str
    role: Role
    address: IPv4Address

    @property
    def forwards(self) -> tuple[Forward, ...]:
        """Ports that lead into it."""
        verification = Forward("verification", VERIFICATION_NODE_PORT)
        if self.role is Role.WORKER:
            return (verification,)
        return (
            Forward("api-server", API_PORT),
            Forward("init", INIT_PORT),
            Forward("recover", RECOVERY_PORT),
            Forward("join", JOIN_NODE_PORT),
            verification,
        )


def places(workspace: Workspace) -> tuple[Place, ...]:
    """Give all machines that the cluster shall have, the first control plane first."""
    spec = workspace.state.spec
    return places_of(spec.control_planes, spec.workers)


def places_of(control_planes: int, workers: int) -> tuple[Place, ...]:
    """Give the machines of a cluster of a size, the first control plane first."""
    return tuple(
        Place(f"{role}-{index}", role, SEGMENT[_FIRST[role] + index])
        for role, number in ((Role.CONTROL_PLANE, control_planes), (Role.WORKER, workers))
        for index in range(number)
    )


def surplus(workspace: Workspace) -> tuple[Machine, ...]:
    """Give the machines that are there and not asked for, by name."""
    wanted = {place.name for place in places(workspace)}
    return tuple(machine for machine in machines(workspace.machines) if machine.name not in wanted)


def create_machine(workspace: Workspace, place: Place) -> Machine:
    """Make a machine, switched off, or give the one that is there.

    Raises:
        MachineError: it cannot be made.
    """
    folder = workspace.machines / place.name
    if (folder / "spec.json").exists():
        return Machine(folder)
    spec = workspace.state.spec
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    return Machine.create(
        folder,
        MachineSpec(
            image=workspace.image().require(ImageFile.DISK),
            metadata=_metadata(workspace, place),
            cpus=spec.cpus,
            memory=spec.memory,
            state_disk=spec.state_disk,
            forwards=place.forwards,
            segment=Segment.of(workspace.state.uid),
            addresses=(IPv4Interface(f"{place.address}/{SEGMENT.prefixlen}"),),
        ),
    )


def booted_images(workspace: Workspace) -> tuple[ImageFolder, ...]:
    """Give the image that machines shall boot, and those that some boot still: none but during an upgrade.

    Raises:
        UnknownImageError: one is not there any more.
    """
    shall = workspace.state.spec.image
    still = {machine.spec.image.parent for machine in machines(workspace.machines)} - {shall}
    return tuple(map(ImageFolder.open, (shall, *sorted(still))))


def left_behind(workspace: Workspace, image: Path) -> dict[str, Path]:
    """Give the machines that boot another image than they shall: name → folder of theirs.

    Args:
        workspace: of the cluster.
        image: folder of the image that they shall boot.
    """
    booted = {machine.name: machine.spec.image.parent for machine in machines(workspace.machines)}
    return {name: folder for name, folder in booted.items() if folder != image}


def accepted_policies(workspace: Workspace) -> list[Policy]:
    """Give what accepts the machines of a cluster: a policy for each image that they boot.

    Raises:
        UnknownImageError: an image is not there any more.
        NodeImageError: it cannot be read.
        NotGenuineError: its signature does not hold.
    """
    return [image.policy() for image in booted_images(workspace)]


def verification_endpoints(workspace: Workspace) -> list[Endpoint]:
    """Say where each machine is verified: a port of this host.

    Raises:
        MachineNotFoundError: one is not there.
    """
    return [
        Endpoint(LOOPBACK, Machine(workspace.machines / place.name).spec.host_port("verification"), place.name)
        for place in places(workspace)
    ]


def _metadata(workspace: Workspace, place: Place) -> dict[str, object]:
    others = [other for other in places(workspace) if other.name != place.name]
    first = place == places(workspace)[0]
    secret = workspace.init_secret().reveal()
    return {
        "version": 1,
        "uid": workspace.state.uid,
        "name": place.name,
        "role": place.role.value,
        "node_group": f"{place.role}s",
        "zone": "local",
        "provider_id": "",
        "init_secret_hash": bcrypt.hashpw(secret, bcrypt.gensalt(_BCRYPT_ROUNDS)).decode() if first else "",
        "endpoint": API_ENDPOINT,
        "peers": [
            {"name": other.name, "role": other.role.value, "addresses": [str(other.address)]} for other in others
        ],
    }
