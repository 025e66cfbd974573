# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a real machine has."""

# ruff: noqa: PLC0415 - an emulated machine takes seconds for all of them: each is imported when its turn comes

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from constellation_core.networks import API_PORT
from constellation_core.roles import Role
from node_agent.image import Profile
from node_agent.machine import Parts

if TYPE_CHECKING:
    from node_agent.device import NodeDevice
    from node_agent.image import ImageFacts
    from node_agent.metadata.record import Metadata
    from node_agent.metadata.source import MetadataSource
    from node_agent.settings import Settings


class RealAssembly:
    """Makes the parts of the machine that we run on.

    Args:
        settings: of the agent.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def device(self, facts: ImageFacts) -> NodeDevice:
        """Give the device of the image's platform."""
        from node_agent.device import NodeDevice

        return NodeDevice(facts.variant, self._settings.run, tpm=self._settings.tpm)

    def source(self, facts: ImageFacts) -> MetadataSource:
        """Give the source of metadata; all platforms so far have a config drive."""
        from node_agent.metadata.config_drive import ConfigDrive

        del facts
        return ConfigDrive(self._settings.config_drive)

    def parts(self, facts: ImageFacts, metadata: Metadata) -> Parts:
        """Give the parts."""
        from node_agent.disk import StateDisk
        from node_agent.kubernetes import Kubernetes
        from node_agent.network.mesh import Mesh
        from node_agent.power import MachinePower

        settings = self._settings
        serves = (API_PORT, settings.init_port, settings.recover_port)
        opened = serves if metadata.role is Role.CONTROL_PLANE else ()
        if facts.profile is Profile.EMERGENCY:
            from node_agent.emergency_access import SSH_PORT

            opened = (*opened, SSH_PORT)
        return Parts(
            disk=StateDisk(settings.state_disk, mount_point=settings.state),
            mesh=Mesh(tcp_ports=opened),
            kubernetes=Kubernetes(prepare_containerd=_prepare_containerd),
            power=MachinePower(),
        )


async def _prepare_containerd() -> None:
    """Give containerd the images of the measured root, and the devices that sign evidence."""
    from node_agent.container_store import seed
    from node_agent.evidence_runtime import write_evidence_runtime

    await asyncio.to_thread(seed)
    await asyncio.to_thread(write_evidence_runtime)
