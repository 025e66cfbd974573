# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What values must be that users write, whatever they write them in: command line, Terraform, Python.

A rule is a function: it gets a value of the right type and gives None, or what was expected, in words: "one of 1, 3,
5". Whoever asks adds the name of the value and what came. Nodes check again what reaches them.

This module is imported by programs that must start at once: it imports the standard library only.
"""

from __future__ import annotations

import json
import re
from datetime import timedelta
from enum import StrEnum
from ipaddress import IPv4Network, ip_address
from itertools import combinations
from typing import TYPE_CHECKING, Final

from constellation_core.networks import DEFAULT_MESH_NETWORK, POD_PREFIXES, PREFIXES, SERVICE_PREFIXES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

CONTROL_PLANES: Final = (1, 3, 5)
"""How many there may be: an even number of etcd members survives no more than one fewer."""
CONTROL_PLANE_LIMITS: Final = range(1, 8)  # etcd does not recommend more than seven members
WORKERS: Final = range(33)
CPUS: Final = range(2, 256)  # kubeadm wants two for a control plane
MEMORY: Final = range(2048, (1 << 20) + 1)  # MiB; kubeadm wants 1700 for a control plane, beside kernel and agent
STATE_DISK: Final = range(2048, (1 << 24) + 1)  # MiB: container images are not on it; etcd, logs and volumes are
ATTESTATION_VARIANTS: Final = (
    "qemu-vtpm",
    "openstack-vtpm",
    "qemu-snp",
    "qemu-tdx",
    "azure-sev-snp",
    "azure-tdx",
    "azure-trusted-launch",
    "aws-sev-snp",
    "aws-nitro-tpm",
    "gcp-sev-snp",
    "gcp-sev-es",
    "gcp-tdx",
    "insecure",
)
"""Names of `attestation.Variant`, which would take a tenth of a second to import."""
TCB_COMPONENTS: Final = ("bootloader", "tee", "snp", "microcode", "fmc", "module", "module_major", "pce", "qe")
TCB_VERSIONS: Final = range(1 << 16)
REGISTERS: Final = range(24)  # of a TPM
CERTIFICATE_SANS: Final = range(33)

CLUSTER_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
KUBERNETES_VERSION: Final = re.compile(r"v?(\d{1,3}\.\d{1,3}\.\d{1,3})", re.ASCII)
_BASE64: Final = re.compile(r"\s*[A-Za-z0-9+/]+={0,2}\s*")
_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_REGISTER: Final = re.compile(r"[0-9]|1[0-9]|2[0-3]|mrtd|rtmr[0-3]")
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}")
_MAX_PORT: Final = 65535

_UNITS: Final = {"h": "hours", "m": "minutes", "s": "seconds", "ms": "milliseconds"}
_PART: Final = r"(\d+(?:\.\d+)?)(ms|h|m|s)"


class OnDestroy(StrEnum):
    """What happens to a cluster when whoever describes it wants it no more."""

    FORGET = "forget"
    WIPE = "wipe"


def cluster_name(name: str) -> str | None:
    """Judge the name of a cluster, a short DNS label: names of its machines begin with it."""
    return None if CLUSTER_NAME.fullmatch(name) else "1 to 32 of a-z, 0-9 and - inside"


def control_planes(number: int) -> str | None:
    """Judge how many control planes there are."""
    return None if number in CONTROL_PLANES else f"one of {', '.join(map(str, CONTROL_PLANES))}"


def control_plane_limit(number: int) -> str | None:
    """Judge how many control planes a cluster lets in."""
    return _between(number, CONTROL_PLANE_LIMITS)


def workers(number: int) -> str | None:
    """Judge how many workers there are."""
    return _between(number, WORKERS)


def cpus(number: int) -> str | None:
    """Judge how many virtual processors a machine of a cluster has."""
    return _between(number, CPUS)


def memory(size: int) -> str | None:
    """Judge the memory of a machine of a cluster, MiB."""
    return _between(size, MEMORY, " MiB")


def state_disk(size: int) -> str | None:
    """Judge the state disk of a machine of a cluster, MiB."""
    return _between(size, STATE_DISK, " MiB")


def kubernetes_version(text: str) -> str | None:
    """Judge a full version of Kubernetes, `v1.36.4` or `1.36.4`."""
    return None if KUBERNETES_VERSION.fullmatch(text) else "a version as v1.36.4"


def canonical_kubernetes_version(text: str) -> str:
    """Write a full version of Kubernetes as Kubernetes does: `v1.36.4`. Other texts stay as they are."""
    found = KUBERNETES_VERSION.fullmatch(text)
    return f"v{found[1]}" if found else text


def hexadecimal(size: int) -> Callable[[str], str | None]:
    """Give the rule for bytes that are written as small hexadecimal digits.

    Args:
        size: how many bytes.
    """
    pattern = re.compile(rf"[0-9a-f]{{{2 * size}}}")

    def rule(text: str) -> str | None:
        return None if pattern.fullmatch(text) else f"{2 * size} digits 0-9, a-f"

    return rule


def attestation_variant(name: str) -> str | None:
    """Judge the name of a platform."""
    return None if name in ATTESTATION_VARIANTS else f"one of {', '.join(ATTESTATION_VARIANTS)}"


def register(number: str | int) -> str | None:
    """Judge the number of a register, or its decimal digits, as keys of JSON are."""
    return None if str(number) in map(str, REGISTERS) else f"a register from {REGISTERS[0]} to {REGISTERS[-1]}"


def tcb_versions(versions: Mapping[str, int]) -> str | None:
    """Judge the least security version of each component."""
    if all(name in TCB_COMPONENTS and version in TCB_VERSIONS for name, version in versions.items()):
        return None
    return f"versions from {TCB_VERSIONS[0]} to {TCB_VERSIONS[-1]} of {', '.join(TCB_COMPONENTS)}"


def base64(text: str) -> str | None:
    """Judge bytes that are written in base64."""
    return None if _BASE64.fullmatch(text) else "base64"


def public_key(text: str) -> str | None:
    """Judge a public key, as far as that can be seen."""
    return None if "-----BEGIN PUBLIC KEY-----" in text else "a public key of ECDSA P-256 in PEM"


def json_object(text: str) -> str | None:
    """Judge a JSON object."""
    try:
        return None if isinstance(json.loads(text), dict) else "a JSON object"
    except (ValueError, RecursionError):
        return "a JSON object"


def duration(text: str) -> str | None:
    """Judge a duration, as Go writes them."""
    return "a duration such as 1h30m" if _duration(text) <= timedelta() else None


def register_names(names: Iterable[str]) -> str | None:
    """Judge names of registers, of a TPM and of TDX."""
    return None if all(map(_REGISTER.fullmatch, names)) else "registers 0 to 23, mrtd, rtmr0 to rtmr3"


def host(text: str) -> str | None:
    """Judge a host: a DNS name or an IP address, IPv6 with or without brackets."""
    try:
        ip_address(text[1:-1] if text[:1] + text[-1:] == "[]" else text)
    except ValueError:
        return None if _HOST.fullmatch(text) else "a name or an IP address"
    return None


def certificate_sans(texts: Sequence[str]) -> str | None:
    """Judge further names of the API server."""
    wrong = next((text for text in texts if host(text)), None)
    if wrong is not None:
        return f"names or IP addresses, and not {wrong!r:.80}"
    return None if len(texts) in CERTIFICATE_SANS else f"at most {CERTIFICATE_SANS[-1]} names"


def endpoint(text: str) -> str | None:
    """Judge `host:port`."""
    name, _, port = text.rpartition(":")
    is_bare_ipv6 = ":" in name and not name.startswith("[")
    if is_bare_ipv6 or host(name) or not _PORT.fullmatch(port) or int(port) > _MAX_PORT:
        return "host:port"
    return None


def node_network(text: str) -> str | None:
    """Judge the addresses of machines, as the infrastructure gives them."""
    return _network(text, PREFIXES)


def pod_network(text: str) -> str | None:
    """Judge the addresses of pods."""
    return _network(text, POD_PREFIXES)


def service_network(text: str) -> str | None:
    """Judge the addresses of Services."""
    return _network(text, SERVICE_PREFIXES)


def networks_apart(networks: Mapping[str, str]) -> str | None:
    """Judge whether networks that are right by themselves share an address with another one, or with the mesh.

    Args:
        networks: what each is for → the network.
    """
    named = [(name, IPv4Network(text)) for name, text in {**networks, "mesh": str(DEFAULT_MESH_NETWORK)}.items()]
    for (name, network), (other_name, other) in combinations(named, 2):
        if network.overlaps(other):
            return f"{name} and {other_name} apart from one another ({network}, {other})"
    return None


def on_destroy(text: str) -> str | None:
    """Judge what is to happen when a cluster is wanted no more."""
    return None if text in tuple(OnDestroy) else f"one of {', '.join(OnDestroy)}"


def _between(number: int, allowed: range, unit: str = "") -> str | None:
    return None if number in allowed else f"{allowed[0]} to {allowed[-1]}{unit}"


def _network(text: str, prefixes: range) -> str | None:
    try:
        network = IPv4Network(text)
    except ValueError:
        network = None
    if network is None or str(network) != text or not network.is_private or network.prefixlen not in prefixes:
        return f"a private IPv4 network from /{prefixes[0]} to /{prefixes[-1]}"
    return None


def _duration(text: str) -> timedelta:
    """Give how long that is; nothing where it is no duration."""
    parts = re.findall(_PART, text) if re.fullmatch(f"({_PART})+", text) else []
    try:
        return sum((timedelta(**{_UNITS[unit]: float(count)}) for count, unit in parts), timedelta())
    except OverflowError:
        return timedelta()
