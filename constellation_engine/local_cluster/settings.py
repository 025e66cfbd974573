# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
r"""What a cluster is asked for besides its machines. `settings.json` in its workspace; without it, the usual.

    {"version": 1, "certificate_sans": ["mini.example"], "service_network": "10.96.0.0/12",
     "pod_network": "10.244.0.0/16", "join_config": "version: 1\n…", "master_secret": "version 1"}

All but the join-config is decided when the first node is initialised, for as long as the cluster lives.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any, Final

from attestation.errors import MalformedError
from attestation.strict_json import load_object
from constellation_core import rules
from constellation_core.fields import Fields
from constellation_core.join_config import MAX_SIZE as MAX_JOIN_CONFIG
from constellation_core.join_config import ControlPlanes, JoinConfig
from constellation_core.networks import DEFAULT_POD_NETWORK, DEFAULT_SERVICE_NETWORK
from constellation_engine.errors import WorkspaceError
from constellation_engine.local_cluster.machines import booted_images
from constellation_engine.local_cluster.workspace import write_private
from constellation_engine.node_image.image_folder import ImageFile

if TYPE_CHECKING:
    from constellation_engine.local_cluster.workspace import Workspace

VERSION: Final = 1
SETTINGS_FILE: Final = "settings.json"

_KNOWN: Final = ("version", "certificate_sans", "service_network", "pod_network", "join_config", "master_secret")
_MAX_SIZE: Final = 2 * MAX_JOIN_CONFIG
_MAX_BRACKETS: Final = 16 * 1024  # they are counted in texts too: signed manifests have some


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSettings:
    """What a cluster is asked for.

    Attributes:
        certificate_sans: further names of the API server, in its certificate.
        service_network: addresses of Services.
        pod_network: addresses of pods.
        join_config: who may join, YAML; empty for machines of the same image, and as many control planes as there are.
        master_secret: what the user calls the master secret that they gave; empty where it was made with the workspace.
    """

    certificate_sans: tuple[str, ...] = ()
    service_network: IPv4Network = DEFAULT_SERVICE_NETWORK
    pod_network: IPv4Network = DEFAULT_POD_NETWORK
    join_config: str = ""
    master_secret: str = ""

    def to_record(self) -> dict[str, Any]:
        """Give plain data."""
        return {
            "version": VERSION,
            "certificate_sans": list(self.certificate_sans),
            "service_network": str(self.service_network),
            "pod_network": str(self.pod_network),
            "join_config": self.join_config,
            "master_secret": self.master_secret,
        }

    @classmethod
    def from_document(cls, document: bytes) -> ClusterSettings:
        """Read the document.

        Raises:
            MalformedError: it is not JSON, of another version, or a field is wrong or unknown.
        """
        fields = Fields(
            load_object(document, SETTINGS_FILE, max_size=_MAX_SIZE, max_brackets=_MAX_BRACKETS), SETTINGS_FILE, _KNOWN
        )
        fields.version(VERSION)
        sans = tuple(map(str, fields.entries("certificate_sans", rules.CERTIFICATE_SANS)))
        services, pods = fields.any_text("service_network"), fields.any_text("pod_network")
        if expected := rules.certificate_sans(sans) or rules.service_network(services) or rules.pod_network(pods):
            raise MalformedError(f"{SETTINGS_FILE}: expected {expected}")
        return cls(
            certificate_sans=sans,
            service_network=IPv4Network(services),
            pod_network=IPv4Network(pods),
            join_config=fields.any_text("join_config"),
            master_secret=fields.any_text("master_secret"),
        )


def read_settings(workspace: Workspace) -> ClusterSettings:
    """Read what a cluster is asked for.

    Raises:
        WorkspaceError: the file is damaged.
    """
    try:
        return ClusterSettings.from_document((workspace.folder / SETTINGS_FILE).read_bytes())
    except FileNotFoundError:
        return ClusterSettings()
    except MalformedError as error:
        raise WorkspaceError(f"{workspace.folder}: {error}", hint=error.hint) from None


def write_settings(workspace: Workspace, settings: ClusterSettings) -> None:
    """Ask a cluster for something else."""
    if settings != read_settings(workspace):
        write_private(workspace.folder / SETTINGS_FILE, json.dumps(settings.to_record(), indent=2).encode() + b"\n")


def join_config(workspace: Workspace) -> JoinConfig:
    """Say who may join: as the cluster's settings say, or the machines that were asked for, with the same image.

    Raises:
        ConfigError: what the settings say cannot be used.
        UnknownImageError: the image is not there any more.
    """
    if chosen := read_settings(workspace).join_config:
        return JoinConfig.from_yaml(chosen)
    return image_join_config(workspace)


def image_join_config(workspace: Workspace) -> JoinConfig:
    """Say who may join where nobody says otherwise.

    Raises:
        UnknownImageError: the image is not there any more.
    """
    shall, *still = booted_images(workspace)
    return JoinConfig(
        image_key=shall.read(ImageFile.PUBLIC_KEY).decode("ascii"),
        images=(shall.read_signed(), *(image.read_signed() for image in still)),
        control_planes=ControlPlanes(max=workspace.state.spec.control_planes),
    )
