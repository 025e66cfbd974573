# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The nftables rules of a node, as text for `nft -f -`.

- `arriving` drops what comes from outside and names an address of the cluster, as its source or its destination:
  forged, or for a Service that nobody outside may reach. It comes before any address is translated. It also drops what
  a pod sends from an address that is not one of this node's pods.
- `leaving` drops what has an address of the cluster and is on its way out in clear: the mesh is down, a route is
  missing, an address was not translated. It comes after all translation.
- `host` drops what comes from outside and is not for a port that this node opens.
- `forwarded` drops what is not between pods, from pods outward, or redirected by kube-proxy; and all of IPv6, which
  pods do not have.
- `led` sends to a control plane what this node wants from the API, at an address of the mesh that no machine has
  (docs/adr/0021). Without a control plane the address is nobody's, and stays inside like any other of the mesh.
- `broken` ends connections to control planes that no longer serve, with their next packet: a machine that is gone does
  not end them, and programs would wait for it.

No rule asks who sends: they are about interfaces and addresses, and nobody is exempt. An interface that is not known
leads outside. A rule set replaces the one before it in one transaction, and stays when this program ends.

Text, and not netlink messages of our own: it is what people audit with `nft list table inet constellation`, and `nft`
is in the measured root. https://wiki.nftables.org
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from constellation_core.networks import API_ADDRESS, API_PORT, DEFAULT_MESH_NETWORK
from node_agent.errors import PermanentError
from node_agent.network.names import BRIDGE, INSIDE, MESH_INTERFACE, MESH_PORT, TABLE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from ipaddress import IPv4Address, IPv4Network

COUNTERS: Final = ("forged", "spoofed", "leaked", "refused")
"""Names of what counts dropped packets: `nft list counters table inet constellation`."""

TRANSLATED: Final = "translated"
"""Name of the chain that is there once the addresses of pods are known."""

_PORTS: Final = range(1, 65536)


@dataclass(frozen=True, slots=True, kw_only=True)
class Firewall:
    """What the rules depend on.

    Attributes:
        mesh: addresses of nodes in the mesh.
        services: addresses of Services; None before that is known.
        pods: addresses of all pods of the cluster; None before that is known, when there are no pods.
        own_pods: addresses of the pods of this node; None before that is known.
        tcp_ports: what this node opens to the outside.
        api_servers: mesh addresses of control planes that serve; new connections go to the first one. None of them: the
            address of the API is not translated.
    """

    mesh: IPv4Network = DEFAULT_MESH_NETWORK
    services: IPv4Network | None = None
    pods: IPv4Network | None = None
    own_pods: IPv4Network | None = None
    tcp_ports: tuple[int, ...] = ()
    api_servers: tuple[IPv4Address, ...] = ()

    def __post_init__(self) -> None:
        """Check that the networks can be told apart.

        Raises:
            PermanentError: two of them overlap, the node's pods are not pods of the cluster, a port is none, or a
                control plane is not in the mesh.
        """
        networks = self.closed
        for place, network in enumerate(networks):
            for other in networks[place + 1 :]:
                if network.overlaps(other):
                    raise PermanentError(
                        f"networks of the cluster: expected ones apart, got {network} and {other}",
                        hint="choose other addresses for pods, Services or mesh: they cannot be changed later",
                    )
        if self.own_pods is not None and (self.pods is None or not self.own_pods.subnet_of(self.pods)):
            raise PermanentError(f"pods of this node: expected a part of {self.pods}, got {self.own_pods}")
        if not all(port in _PORTS for port in self.tcp_ports):
            raise PermanentError(f"open ports: expected numbers from 1 to 65535, got {self.tcp_ports}")
        for address in self.api_servers:
            if address not in self.mesh or address == API_ADDRESS:
                raise PermanentError(f"control planes: expected addresses of nodes in {self.mesh}, got {address}")

    @property
    def closed(self) -> tuple[IPv4Network, ...]:
        """Networks whose addresses stay inside."""
        return tuple(network for network in (self.mesh, self.services, self.pods) if network is not None)


def rules(firewall: Firewall) -> str:
    """Write the rule set, which replaces the one that is there."""
    head = f"add table inet {TABLE}\ndelete table inet {TABLE}\ntable inet {TABLE} {{\n"
    counters = "".join(f"    counter {name} {{ }}\n" for name in COUNTERS)
    chains = (
        _arriving(firewall),
        _translated(firewall),
        _led(firewall),
        _leaving(),
        _host(firewall),
        _forwarded(),
    )
    return head + counters + _sets(firewall) + "".join(chains) + "}\n"


def _sets(firewall: Firewall) -> str:
    return f"""\
    set inside {{
        type ifname
        elements = {{ {_list(f'"{name}"' for name in INSIDE)} }}
    }}
    set closed {{
        type ipv4_addr
        flags interval
        elements = {{ {_list(firewall.closed)} }}
    }}
"""


def _arriving(firewall: Firewall) -> str:
    pods = firewall.own_pods or firewall.pods
    spoofed = f"ip saddr != {pods}" if pods is not None else "meta nfproto ipv4"
    return f"""\
    chain arriving {{
        type filter hook prerouting priority raw; policy accept;
        iifname "{BRIDGE}" {spoofed} counter name spoofed drop
        iifname @inside accept
        ip saddr @closed counter name forged drop
        ip daddr @closed counter name forged drop
    }}
"""


def _translated(firewall: Firewall) -> str:
    """What pods send outward gets the address of the node."""
    if firewall.pods is None:
        return ""
    return f"""\
    chain {TRANSLATED} {{
        type nat hook postrouting priority srcnat; policy accept;
        oifname != @inside ip saddr {firewall.pods} ip daddr != @closed masquerade
    }}
"""


def _led(firewall: Firewall) -> str:
    """What goes to the API. The priority is that of `dstnat`, which has no name here."""
    if not firewall.api_servers:
        return ""
    serving = f"{{ {_list(firewall.api_servers)} }}"
    return f"""\
    chain led {{
        type nat hook output priority -100; policy accept;
        ip daddr {API_ADDRESS} tcp dport {API_PORT} dnat ip to {firewall.api_servers[0]}
    }}
    chain broken {{
        type filter hook output priority filter; policy accept;
        tcp dport {API_PORT} ct original ip daddr {API_ADDRESS} ct reply ip saddr != {serving} reject with tcp reset
    }}
"""


def _leaving() -> str:
    return """\
    chain leaving {
        type filter hook postrouting priority srcnat + 200; policy accept;
        oifname @inside accept
        ip saddr @closed counter name leaked drop
        ip daddr @closed counter name leaked drop
    }
"""


def _host(firewall: Firewall) -> str:
    """What reaches the node itself.

    etcd, kubelet and all else between nodes come through the mesh. NodePorts are not opened one by one: what kube-proxy
    redirected has the mark of a translated destination, and `arriving` has dropped what was sent to Services directly.
    """
    ports = f"        tcp dport {{ {_list(firewall.tcp_ports)} }} accept\n" if firewall.tcp_ports else ""
    return f"""\
    chain host {{
        type filter hook input priority filter; policy drop;
        iifname @inside accept
        ct state vmap {{ established : accept, related : accept, invalid : drop }}
        ct status dnat accept
        udp dport {MESH_PORT} accept
{ports}\
        meta nfproto ipv4 udp sport 67 udp dport 68 accept
        ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept
        icmp type {{ destination-unreachable, echo-request, parameter-problem, time-exceeded }} accept
        icmpv6 type {{ destination-unreachable, echo-request, packet-too-big, parameter-problem, time-exceeded }} accept
        ip6 hoplimit 255 icmpv6 type {{ nd-neighbor-advert, nd-neighbor-solicit, nd-router-advert }} accept
        ip6 saddr fe80::/10 icmpv6 type {{ mld-listener-query, mld-listener-report, mld2-listener-report }} accept
        counter name refused
    }}
"""


def _forwarded() -> str:
    """What passes through the node.

    Link-local addresses are not for routers (RFC 3927, 7): clouds have their instance metadata there, which gives
    whoever asks the rights of the machine.
    """
    return f"""\
    chain forwarded {{
        type filter hook forward priority filter; policy drop;
        meta nfproto != ipv4 counter name refused drop
        ct state vmap {{ established : accept, related : accept, invalid : drop }}
        ip daddr 169.254.0.0/16 counter name refused drop
        iifname "{BRIDGE}" accept
        iifname "{MESH_INTERFACE}" oifname "{BRIDGE}" accept
        ct status dnat accept
        counter name refused
    }}
"""


def _list(items: Iterable[object]) -> str:
    return ", ".join(str(item) for item in items)
