# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What is true of a cluster as a whole, and no secret. ConfigMap `cluster`, key `cluster.yaml`.

version: 1
name: production
endpoint: 192.0.2.10:6443             # of the API server, as administrators and nodes reach it
measurementSalt: 8f1c…                # 32 bytes, hexadecimal
kubernetesVersion: v1.36.4
components: components-9b02…          # ConfigMap with the list of programs, named by its SHA-256
meshNetwork: 10.213.0.0/16            # addresses of nodes in the mesh
podNetwork: 10.244.0.0/16             # addresses of pods
serviceNetwork: 10.96.0.0/12          # addresses of Services
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from attestation.errors import AttestationError
from constellation_core import component_list
from constellation_core.errors import ConfigError
from constellation_core.fields import Fields
from constellation_core.keys.derivation import SECRET_SIZE
from constellation_core.networks import (
    DEFAULT_MESH_NETWORK,
    DEFAULT_POD_NETWORK,
    DEFAULT_SERVICE_NETWORK,
    PREFIXES,
)
from constellation_core.strict_yaml import dump_yaml, load_yaml

FACTS_VERSION: Final = 1
OBJECT_NAME: Final = "cluster"
"""Name of the ConfigMap."""
DATA_KEY: Final = "cluster.yaml"
"""Key of the file in it."""

MAX_SIZE: Final = 16 * 1024  # bytes

_KNOWN: Final = (
    "version",
    "name",
    "endpoint",
    "measurementSalt",
    "kubernetesVersion",
    "components",
    "meshNetwork",
    "podNetwork",
    "serviceNetwork",
)
_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_VERSION: Final = re.compile(r"v\d{1,3}\.\d{1,3}\.\d{1,3}", re.ASCII)
_ENDPOINT: Final = re.compile(r"(?P<host>\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9.-]{1,253}):(?P<port>[1-9][0-9]{0,4})")
_NETWORK: Final = re.compile(r"[0-9./]{9,18}")
_MAX_PORT: Final = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterFacts:
    """What is true of a cluster as a whole.

    Attributes:
        name: of the cluster, a DNS label.
        endpoint: host:port of the API server.
        measurement_salt: 32 bytes; with the measurement secret it gives the cluster ID.
        kubernetes_version: as "v1.36.4".
        components: name of the ConfigMap with the list of programs.
        mesh_network: addresses of nodes in the mesh.
        pod_network: addresses of pods.
        service_network: addresses of Services.
    """

    name: str
    endpoint: str
    measurement_salt: bytes
    kubernetes_version: str
    components: str
    mesh_network: ipaddress.IPv4Network = DEFAULT_MESH_NETWORK
    pod_network: ipaddress.IPv4Network = DEFAULT_POD_NETWORK
    service_network: ipaddress.IPv4Network = DEFAULT_SERVICE_NETWORK

    @classmethod
    def from_yaml(cls, text: str) -> ClusterFacts:
        """Read the file.

        Raises:
            ConfigError: it is not YAML, or a field is missing, wrong, or unknown.
        """
        try:
            return _read(Fields(load_yaml(text, max_size=MAX_SIZE), OBJECT_NAME, _KNOWN))
        except AttestationError as error:
            raise ConfigError(f"ConfigMap {OBJECT_NAME}: {error}", hint=error.hint) from None

    def to_yaml(self) -> str:
        """Write the file that `from_yaml` reads back."""
        return dump_yaml(
            {
                "version": FACTS_VERSION,
                "name": self.name,
                "endpoint": self.endpoint,
                "measurementSalt": self.measurement_salt.hex(),
                "kubernetesVersion": self.kubernetes_version,
                "components": self.components,
                "meshNetwork": str(self.mesh_network),
                "podNetwork": str(self.pod_network),
                "serviceNetwork": str(self.service_network),
            }
        )


def _read(fields: Fields) -> ClusterFacts:
    fields.version(FACTS_VERSION)
    return ClusterFacts(
        name=fields.text("name", _NAME, "a DNS label"),
        endpoint=_endpoint(fields),
        measurement_salt=fields.hexadecimal("measurementSalt", SECRET_SIZE),
        kubernetes_version=fields.text("kubernetesVersion", _VERSION, "a version as v1.36.4"),
        components=fields.text("components", component_list.OBJECT_NAME, "components-<sha256>"),
        mesh_network=_network(fields, "meshNetwork", DEFAULT_MESH_NETWORK),
        pod_network=_network(fields, "podNetwork", DEFAULT_POD_NETWORK),
        service_network=_network(fields, "serviceNetwork", DEFAULT_SERVICE_NETWORK),
    )


def _endpoint(fields: Fields) -> str:
    text = fields.text("endpoint", _ENDPOINT, "host:port")
    host, _, port = text.rpartition(":")
    try:
        if host.startswith("["):
            ipaddress.IPv6Address(host.strip("[]"))
    except ValueError:
        raise fields.wrong("endpoint", "host:port", text) from None
    if int(port) > _MAX_PORT:
        raise fields.wrong("endpoint", f"a port up to {_MAX_PORT}", text)
    return text


def _network(fields: Fields, name: str, default: ipaddress.IPv4Network) -> ipaddress.IPv4Network:
    if name not in fields:
        return default
    expected = f"a private IPv4 network as {default}"
    text = fields.text(name, _NETWORK, expected)
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError:
        raise fields.wrong(name, expected, text) from None
    if not network.is_private or network.prefixlen not in PREFIXES or str(network) != text:
        raise fields.wrong(name, expected, text)
    return network
