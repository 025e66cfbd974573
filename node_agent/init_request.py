# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What an administrator asks of the first node, read and checked: all mistakes at once, before anything happened.

1. Key material and salt are whole (attack, or accident: keys of fewer bytes).
2. Names, version, endpoint and networks have the shape that their users rely on, and no two networks overlap.
3. Kubernetes and its programs are those that this image brings (accident: a version that no node has).
4. Somebody can join by the policy, and the policy is no partial one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC
from ipaddress import IPv4Network, ip_address
from itertools import combinations
from typing import TYPE_CHECKING, Final, TypeVar

from attestation.errors import AttestationError
from constellation_core.component_list import Component, read_components
from constellation_core.errors import ConfigError
from constellation_core.join_config import JoinConfig
from constellation_core.keys.derivation import SECRET_SIZE, canonical_uuid
from constellation_core.keys.key_material import KeyMaterial
from constellation_core.networks import DEFAULT_MESH_NETWORK, POD_PREFIXES, SERVICE_PREFIXES
from constellation_core.rules import CERTIFICATE_SANS
from node_agent.clock import require_right_time
from node_agent.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from constellation_proto import init_pb2, join_pb2

SIZES: Final = {"service_cidr": SERVICE_PREFIXES, "pod_cidr": POD_PREFIXES}  # of networks

_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_VERSION: Final = re.compile(r"v\d{1,3}\.\d{1,3}\.\d{1,3}", re.ASCII)
_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}")
_MAX_PORT: Final = 65535

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class InitOrder:
    """A request that is whole.

    Attributes:
        key_material: where the cluster's keys come from.
        measurement_salt: 32 bytes.
        cluster_name: a DNS label.
        kubernetes_version: as "v1.36.4".
        components: programs of nodes.
        endpoint: host:port of the API server.
        certificate_sans: its further names.
        service_cidr: addresses of Services.
        pod_cidr: addresses of pods.
        join_config: which machines may join, YAML.
    """

    key_material: KeyMaterial
    measurement_salt: bytes
    cluster_name: str
    kubernetes_version: str
    components: tuple[Component, ...]
    endpoint: str
    certificate_sans: tuple[str, ...]
    service_cidr: IPv4Network
    pod_cidr: IPv4Network
    join_config: str


def read_order(request: init_pb2.InitRequest, *, kubernetes: str, components: Sequence[Component] = ()) -> InitOrder:
    """Read a request.

    Args:
        request: as it came.
        kubernetes: version that this image brings.
        components: programs that this image brings; empty where nobody has signed which.

    Raises:
        PermanentError: it has mistakes; names all of them.
    """
    reading = _Reading()
    with_mistakes = reading.field
    with_mistakes("request_id", lambda: canonical_uuid(request.request_id))
    material = with_mistakes("key_material", lambda: KeyMaterial.from_message(request.key_material))  # 1
    salt = with_mistakes("measurement_salt", lambda: _salt(request.measurement_salt))
    name = with_mistakes("cluster_name", lambda: _match(_NAME, request.cluster_name, "a DNS label"))  # 2
    endpoint = with_mistakes("endpoint", lambda: _endpoint(request.endpoint))
    sans = with_mistakes("certificate_sans", lambda: _hosts(request.certificate_sans))
    services = with_mistakes("service_cidr", lambda: _network("service_cidr", request.service_cidr))
    pods = with_mistakes("pod_cidr", lambda: _network("pod_cidr", request.pod_cidr))
    with_mistakes("networks", lambda: _apart(services, pods))
    version = with_mistakes("kubernetes_version", lambda: _version(request.kubernetes_version, kubernetes))  # 3
    programs = with_mistakes("components", lambda: _programs(request.components, components))
    policy = with_mistakes("join_config", lambda: _policy(request.join_config))  # 4
    with_mistakes("now", lambda: _time(request))
    reading.require_no_mistakes()
    return InitOrder(
        key_material=_there(material),
        measurement_salt=_there(salt),
        cluster_name=_there(name),
        kubernetes_version=_there(version),
        components=_there(programs),
        endpoint=_there(endpoint),
        certificate_sans=_there(sans),
        service_cidr=_there(services),
        pod_cidr=_there(pods),
        join_config=_there(policy),
    )


class _Reading:
    """Collects mistakes."""

    def __init__(self) -> None:
        self._mistakes: list[str] = []

    def field(self, name: str, read: Callable[[], _Value]) -> _Value | None:
        """Read a field, or note what is wrong with it."""
        try:
            return read()
        except (AttestationError, ConfigError, PermanentError, ValueError) as error:
            self._mistakes.append(f"{name}: {error}")
            return None

    def require_no_mistakes(self) -> None:
        """Raise all mistakes at once, if there are some."""
        if self._mistakes:
            raise PermanentError(f"init cannot begin: {'; '.join(self._mistakes)}", hint="nothing has happened yet")


def _time(request: init_pb2.InitRequest) -> None:
    if request.HasField("now"):
        require_right_time(request.now.ToDatetime(UTC), "the administrator")


def _there(value: _Value | None) -> _Value:
    if value is None:
        message = "a field without a value has a mistake"
        raise AssertionError(message)
    return value


def _wrong(expected: str, got: object) -> ValueError:
    return ValueError(f"expected {expected}, got {got!r:.80}")


def _match(pattern: re.Pattern[str], text: str, expected: str) -> str:
    if not pattern.fullmatch(text):
        raise _wrong(expected, text)
    return text


def _salt(salt: bytes) -> bytes:
    if len(salt) != SECRET_SIZE:
        raise _wrong(f"{SECRET_SIZE} bytes", f"{len(salt)} bytes")
    return salt


def _version(text: str, brought: str) -> str:
    if _match(_VERSION, text, "a version as v1.36.4") != brought:
        raise _wrong(f"{brought}, which this image brings", text)
    return text


def _programs(messages: Iterable[join_pb2.Component], brought: Sequence[Component]) -> tuple[Component, ...]:
    wanted = read_components(
        {"name": message.name, "version": message.version, "sha256": message.sha256} for message in messages
    )
    if not wanted:
        raise _wrong("the programs of nodes", "none")
    if brought and (missing := [program for program in wanted if program not in brought]):
        raise _wrong("programs that this image brings", ", ".join(f"{item.name} {item.version}" for item in missing))
    return wanted


def _policy(text: str) -> str:
    JoinConfig.from_yaml(text)
    return text


def _host(text: str) -> str:
    try:
        return str(ip_address(text.strip("[]")))
    except ValueError:
        return _match(_HOST, text, "a name or an IP address")


def _hosts(texts: Sequence[str]) -> tuple[str, ...]:
    if len(texts) not in CERTIFICATE_SANS:
        raise _wrong(f"at most {CERTIFICATE_SANS[-1]} names", len(texts))
    return tuple(dict.fromkeys(map(_host, texts)))


def _endpoint(text: str) -> str:
    host, _, port = text.rpartition(":")
    _host(_match(re.compile(r".+"), host, "host:port"))
    if not _PORT.fullmatch(port) or int(port) > _MAX_PORT:
        raise _wrong(f"a port from 1 to {_MAX_PORT}", text)
    return text


def _network(name: str, text: str) -> IPv4Network:
    network = IPv4Network(text)
    if not network.is_private or network.prefixlen not in SIZES[name]:
        raise _wrong(f"a private network of at least /{SIZES[name][-1]}", text)
    return network


def _apart(services: IPv4Network | None, pods: IPv4Network | None) -> None:
    networks = {"service_cidr": services, "pod_cidr": pods, "mesh": DEFAULT_MESH_NETWORK}
    known = [(name, network) for name, network in networks.items() if network is not None]
    for (name, network), (other_name, other) in combinations(known, 2):
        if network.overlaps(other):
            raise _wrong(f"{name} and {other_name} apart from one another", f"{network} and {other}")
