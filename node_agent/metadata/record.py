# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`metadata.json` (protocols, section 8): anybody may have written it, so it steers and never decides.

    {"version": 1, "uid": "mini", "name": "control-0", "role": "control-plane", "node_group": "control-planes",
     "zone": "", "provider_id": "", "init_secret_hash": "$2b$12$…", "endpoint": "10.99.0.1:6443",
     "peers": [{"name": "worker-0", "role": "worker", "addresses": ["10.99.0.2"]}],
     "network": [{"mac": "52:54:00:00:00:01", "addresses": ["10.99.0.1/24"]}]}

Name and role must be there. Unknown keys are skipped; a value of a wrong type or shape is a refusal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface
from typing import TYPE_CHECKING, Any, Final

from attestation.errors import MalformedError
from attestation.strict_json import load_object
from constellation_core.fields import Fields
from constellation_core.roles import Role

if TYPE_CHECKING:
    from collections.abc import Callable
    from ipaddress import IPv4Interface, IPv6Interface

METADATA_VERSION: Final = 1
MAX_SIZE: Final = 64 * 1024  # bytes
MAX_PEERS: Final = 256
MAX_ADDRESSES: Final = 16  # of one peer or interface; a join service takes no more either
MAX_INTERFACES: Final = 8
MAX_BRACKETS: Final = 2048
MAX_NAME: Final = 51  # characters: with "system:node:" a common name has 64 (RFC 5280)

_KNOWN: Final = (
    "version",
    "uid",
    "name",
    "role",
    "node_group",
    "zone",
    "provider_id",
    "init_secret_hash",
    "recovery_secret_hash",
    "endpoint",
    "peers",
    "network",
)
_NAME: Final = re.compile(r"(?=.{1,51}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
_ROLE: Final = re.compile("|".join(Role))
_WORD: Final = re.compile(r"[!-~]{0,253}")
_HASH: Final = re.compile(r"(\$2[aby]\$(0[4-9]|1[0-4])\$[./A-Za-z0-9]{53})?")  # a greater cost is an attack on our time
_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_ADDRESS: Final = re.compile(r"[0-9A-Fa-f.:]{2,45}")
_INTERFACE: Final = re.compile(r"[0-9A-Fa-f.:/]{2,49}")
_MAC: Final = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerMachine:
    """Another machine of the cluster, as the platform sees it.

    Attributes:
        name: of the machine.
        role: what it is to be.
        addresses: IP addresses or DNS names where it may be reached.
    """

    name: str
    role: Role
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkCard:
    """Addresses of an interface that does not ask DHCP.

    Attributes:
        mac: its hardware address, lower case.
        addresses: with the length of their prefix.
    """

    mac: str
    addresses: tuple[IPv4Interface | IPv6Interface, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What the platform says of this machine.

    Attributes:
        name: of the node.
        role: what it is to be.
        uid: of the cluster's infrastructure.
        node_group: which machines are like it.
        zone: where it stands.
        provider_id: what the platform calls it.
        init_secret_hash: bcrypt hash of the secret that init demands; empty where nobody may initialise.
        recovery_secret_hash: bcrypt hash of the secret that recovery demands; empty where it demands none.
        endpoint: host:port of the API server.
        peers: other machines.
        network: static addresses.
    """

    name: str
    role: Role
    uid: str = ""
    node_group: str = ""
    zone: str = ""
    provider_id: str = ""
    init_secret_hash: str = ""
    recovery_secret_hash: str = ""
    endpoint: str = ""
    peers: tuple[PeerMachine, ...] = ()
    network: tuple[NetworkCard, ...] = ()

    @classmethod
    def from_json(cls, data: bytes) -> Metadata:
        """Read the document.

        Raises:
            MalformedError: it is not JSON, too large, or a field is missing or wrong.
        """
        record = load_object(data, "metadata", max_size=MAX_SIZE, max_brackets=MAX_BRACKETS)
        fields = _fields(record, "metadata", _KNOWN)
        fields.version(METADATA_VERSION)
        return cls(
            name=fields.text("name", _NAME, f"a DNS name of at most {MAX_NAME} characters, lower case"),
            role=_role(fields),
            **{name: _word(fields, name) for name in ("uid", "node_group", "zone", "provider_id", "endpoint")},
            **{name: _hash(fields, name) for name in ("init_secret_hash", "recovery_secret_hash")},
            peers=tuple(map(_peer, fields.entries("peers", range(MAX_PEERS + 1)))),
            network=tuple(map(_network_card, fields.entries("network", range(MAX_INTERFACES + 1)))),
        )

    @property
    def join_services(self) -> tuple[str, ...]:
        """Where a join service may be: addresses of all other control planes."""
        hosts = [
            address
            for peer in self.peers
            if peer.role is Role.CONTROL_PLANE and peer.name != self.name
            for address in peer.addresses
        ]
        return tuple(dict.fromkeys(hosts))


def _fields(record: object, what: str, known: tuple[str, ...]) -> Fields:
    """Take the fields that we know, and skip the others: a newer platform may say more."""
    if isinstance(record, dict):
        record = {name: value for name, value in record.items() if name in known}
    return Fields(record, what, known)


def _role(fields: Fields) -> Role:
    return Role(fields.text("role", _ROLE, " or ".join(Role)))


def _word(fields: Fields, name: str) -> str:
    return fields.text(name, _WORD, "at most 253 printable characters without spaces") if name in fields else ""


def _hash(fields: Fields, name: str) -> str:
    return fields.text(name, _HASH, "a bcrypt hash of cost 4 to 14") if name in fields else ""


def _peer(record: object) -> PeerMachine:
    fields = _fields(record, "metadata: peer", ("name", "role", "addresses"))
    return PeerMachine(
        name=fields.text("name", _NAME, "a DNS name"),
        role=_role(fields),
        addresses=tuple(_each(fields, "addresses", _host)),
    )


def _network_card(record: object) -> NetworkCard:
    fields = _fields(record, "metadata: network", ("mac", "addresses"))
    return NetworkCard(
        mac=fields.text("mac", _MAC, "a MAC address in lower case"),
        addresses=tuple(_each(fields, "addresses", _interface)),
    )


def _each(fields: Fields, name: str, read: Callable[[str], Any]) -> list[Any]:
    entries = fields.entries(name, range(MAX_ADDRESSES + 1))
    for entry in entries:
        if not isinstance(entry, str):
            raise fields.wrong(name, "a list of texts", entry)
    return [read(entry) for entry in entries]


def _host(text: str) -> str:
    if _ADDRESS.fullmatch(text):
        try:
            return str(ip_address(text))
        except ValueError:
            pass  # "10.0" or "abba" is no address; it may be a name
    if not _HOST.fullmatch(text):
        raise MalformedError(f"metadata: address: expected an IP address or a DNS name, got {text!r:.80}")
    return text.lower()


def _interface(text: str) -> IPv4Interface | IPv6Interface:
    try:
        if _INTERFACE.fullmatch(text) and "/" in text:
            return ip_interface(text)
    except ValueError:
        pass
    raise MalformedError(f"metadata: network: expected an address as 10.99.0.1/24, got {text!r:.80}")
