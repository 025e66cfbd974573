# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What somebody wants a local cluster to be, as playbooks say it: what is left out stays as it is.

A cluster keeps most of it for life. What would need another cluster is refused before anything happens, by the name
under which it was asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Final

from constellation_core import rules
from constellation_core.join_config import JoinConfig
from constellation_engine.errors import WorkspaceError
from constellation_engine.local_cluster.settings import join_config, read_settings
from constellation_engine.local_cluster.workspace import ClusterSpec
from constellation_engine.node_image.image_folder import ImageFolder

if TYPE_CHECKING:
    from ipaddress import IPv4Network
    from pathlib import Path

    from constellation_core.keys.master_secret import MasterSecret
    from constellation_engine.local_cluster.settings import ClusterSettings
    from constellation_engine.local_cluster.workspace import Workspace

_OF_SPEC: Final = tuple(one.name for one in fields(ClusterSpec))
OF_SETTINGS: Final = ("certificate_sans", "service_network", "pod_network")
_CHANGEABLE: Final = ("workers", "image")
_ANOTHER: Final = "a cluster keeps it for life: remove the cluster first, or name another workspace"


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredCluster:
    """What a cluster shall be; None is what it is, or what is usual for a new one.

    Attributes:
        image: folder of the node image, absolute. A new cluster needs it; machines of another go over to another one.
        name: of the cluster.
        control_planes: how many.
        workers: how many; alone among the numbers they can change.
        cpus: of each machine.
        memory: of each machine, MiB.
        state_disk: of each machine, MiB.
        kubernetes_version: that the image must bring.
        certificate_sans: further names of the API server.
        service_network: addresses of Services.
        pod_network: addresses of pods.
        join_config: which machines may join, YAML.
        max_control_planes: how many control planes may join; not beside `join_config`.
        approval: whether a person has to approve each of them; not beside `join_config`.
        master_secret: what every key derives from.
    """

    image: Path | None = None
    name: str | None = None
    control_planes: int | None = None
    workers: int | None = None
    cpus: int | None = None
    memory: int | None = None
    state_disk: int | None = None
    kubernetes_version: str | None = None
    certificate_sans: tuple[str, ...] | None = None
    service_network: IPv4Network | None = None
    pod_network: IPv4Network | None = None
    join_config: str | None = None
    max_control_planes: int | None = None
    approval: bool | None = None
    master_secret: MasterSecret | None = None

    def spec(self, there: ClusterSpec | None) -> ClusterSpec:
        """Give what is asked for.

        Args:
            there: what the cluster is; None where there is none.

        Raises:
            WorkspaceError: it cannot be.
        """
        asked = self._given(_OF_SPEC)
        if there is not None:
            return replace(there, **asked)
        if self.image is None:
            raise WorkspaceError("image: expected one for a new cluster, got none", hint="constellation image build")
        return ClusterSpec(**asked)

    def settings(self, there: ClusterSettings) -> ClusterSettings:
        """Give the settings, without the join-config, which may need the image."""
        return replace(there, **self._given(OF_SETTINGS))

    def require_possible(self, workspace: Workspace | None) -> None:
        """See that the cluster can become what is asked for.

        Args:
            workspace: of the cluster; None where there is none.

        Raises:
            WorkspaceError: it is another cluster, the image brings another Kubernetes, or machines cannot go over to
                that.
            UnknownImageError: the image is not there.
            ConfigError: the join-config would be refused.
            SecretFileError: the master secret that is there cannot be read.
        """
        spec = self.spec(workspace.state.spec if workspace is not None else None)
        if workspace is not None:
            self._require_same(workspace, spec)
        self._require_kubernetes(spec)
        join = JoinConfig.from_yaml(self.join_config) if self.join_config is not None else None
        if workspace is not None and spec.image != workspace.state.spec.image:
            from constellation_engine.local_cluster.image_change import (  # noqa: PLC0415 - seldom needed
                require_possible,
            )

            require_possible(workspace, ImageFolder.open(spec.image), join)

    def wanted_join_config(self, workspace: Workspace) -> str:
        """Give which machines shall join: as asked for, else as the workspace says, else those of the image.

        Raises:
            ConfigError: what the workspace says cannot be used.
            UnknownImageError: the image is not there any more.
        """
        if self.join_config is not None:
            return self.join_config
        there = join_config(workspace)
        if self.image not in (None, workspace.state.spec.image):
            from constellation_engine.local_cluster.image_change import with_images  # noqa: PLC0415 - as above

            there = with_images(there, [ImageFolder.open(self.image)])
        asked: dict[str, Any] = {"max": self.max_control_planes, "approval": self.approval}
        limits = replace(there.control_planes, **{name: value for name, value in asked.items() if value is not None})
        return replace(there, control_planes=limits).to_yaml()

    @property
    def says_who_may_join(self) -> bool:
        """Whether anything is asked for about machines that join."""
        return any(value is not None for value in (self.join_config, self.max_control_planes, self.approval))

    def _given(self, names: tuple[str, ...]) -> dict[str, Any]:
        asked = {name: getattr(self, name) for name in names}
        return {name: value for name, value in asked.items() if value is not None}

    def _require_same(self, workspace: Workspace, spec: ClusterSpec) -> None:
        there = workspace.state.spec
        differing = {
            name: (getattr(there, name), getattr(spec, name))
            for name in _OF_SPEC
            if name not in _CHANGEABLE and getattr(there, name) != getattr(spec, name)
        }
        if workspace.state.cluster_id:
            settings = read_settings(workspace)
            differing |= {
                name: (getattr(settings, name), value)
                for name, value in self._given(OF_SETTINGS).items()
                if getattr(settings, name) != value
            }
            if self.master_secret not in (None, workspace.master_secret()):
                differing["master_secret"] = ("the one of this workspace", "another")
        if differing:
            said = "; ".join(
                f"{name} is {_shown(is_)}, not {_shown(asked)}" for name, (is_, asked) in differing.items()
            )
            raise WorkspaceError(f"{workspace.folder} is of another cluster: {said}", hint=_ANOTHER)

    def _require_kubernetes(self, spec: ClusterSpec) -> None:
        if self.kubernetes_version is None:
            return
        brought = f"v{ImageFolder.open(spec.image).read_build().kubernetes}"
        wanted = rules.canonical_kubernetes_version(self.kubernetes_version)
        if wanted != brought:
            raise WorkspaceError(
                f"kubernetes_version: expected {wanted}, the image {spec.image} brings {brought}",
                hint=f"constellation image build --kubernetes {wanted} makes one with it",
            )


def _shown(value: object) -> str:
    return (", ".join(value) or "none") if isinstance(value, tuple) else str(value)
