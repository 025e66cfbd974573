# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Say what cannot work about the networks of a cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
name: network_problems
short_description: Say what cannot work about the networks of a cluster
version_added: 0.1.0
author:
  - The Constellation authors (@constellation-kubernetes)
description:
  - Looks at networks, MTU, control planes and the virtual address of a cluster together, and gives a sentence for each
    thing that is known not to work. Nothing is asked or changed.
options:
  _input:
    description:
      - The networks, as the options of the role P(constellation.core.networking#role) without their prefix.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Refuse what cannot work
  ansible.builtin.assert:
    that: networks | constellation.core.network_problems | length == 0
    fail_msg: "{{ networks | constellation.core.network_problems | join(' ') }}"
"""

RETURN = r"""
_value:
  description: Sentences; none where everything can work.
  type: list
  elements: str
"""

from ipaddress import IPv4Address, IPv4Network
from itertools import combinations
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

MESH = IPv4Network("10.213.0.0/16")  # nodes have it built in
TUNNEL = 60  # bytes that WireGuard takes of a packet of IPv4
LEAST_MTU = 1280 + TUNNEL  # inside the tunnel IPv6 must fit (RFC 8200 § 5)
MOST_MTU = 9216
PREFIXES = {"pod_network": (8, 22), "service_network": (8, 24), "node_network": (8, 30)}
ROUTER_IDS = range(1, 256)


def network_problems(networks: Mapping[str, Any]) -> list[str]:
    """Give a sentence for each thing that cannot work; each names the option and what to do."""
    known: dict[str, IPv4Network] = {"mesh": MESH}
    problems = [*_unreadable(networks, known), *_overlaps(known), *_mtu(networks)]
    problems += _control_planes(networks, known.get("node_network"))
    if networks.get("virtual_address"):
        problems += _virtual_address(networks, known.get("node_network"))
    return problems


def _unreadable(networks: Mapping[str, Any], known: dict[str, IPv4Network]) -> Iterator[str]:
    for name, (shortest, longest) in PREFIXES.items():
        text = str(networks.get(name, ""))
        try:
            network = IPv4Network(text)
        except ValueError as error:
            yield f"Option networking_{name}: expected a network of IPv4 as 10.0.0.0/16, got {text} ({error})."
            continue
        known[name] = network
        if not shortest <= network.prefixlen <= longest:
            yield f"Option networking_{name}: expected a prefix from /{shortest} to /{longest}, got {text}."


def _overlaps(known: Mapping[str, IPv4Network]) -> Iterator[str]:
    for (one, first), (other, second) in combinations(known.items(), 2):
        if first.overlaps(second):
            what = f"the mesh of nodes has {MESH}" if one == "mesh" else f"networking_{one} is {first}"
            yield f"Option networking_{other}: {second} overlaps, {what}. Choose another network."


def _mtu(networks: Mapping[str, Any]) -> Iterator[str]:
    mtu = networks.get("mtu", 1500)
    if not LEAST_MTU <= mtu <= MOST_MTU:
        yield (
            f"Option networking_mtu: expected {LEAST_MTU} to {MOST_MTU}, got {mtu}. "
            f"WireGuard takes {TUNNEL} bytes of every packet and needs 1280 for itself."
        )


def _control_planes(networks: Mapping[str, Any], nodes: IPv4Network | None) -> Iterator[str]:
    machines = list(networks.get("control_planes") or ())
    if machines and len(machines) % 2 == 0:
        yield (
            f"Option networking_control_planes: expected an odd number, got {len(machines)}. etcd needs more than half "
            f"of them: {len(machines)} survive no more failures than {len(machines) - 1}."
        )
    seen: set[IPv4Address] = set()
    for machine in machines:
        address = _address(machine.get("address", ""))
        name = f"Option networking_control_planes: {machine.get('name', 'one')}"
        if address is None:
            yield f"{name} has no address of IPv4, got {machine.get('address')}."
        elif nodes and address not in nodes:
            yield f"{name} has {address}, which is not in networking_node_network {nodes}."
        elif address in seen:
            yield f"{name} has {address}, which another one has as well."
        else:
            seen.add(address)


def _virtual_address(networks: Mapping[str, Any], nodes: IPv4Network | None) -> Iterator[str]:
    text = networks["virtual_address"]
    address, option = _address(text), "Option networking_virtual_address"
    taken = {_address(machine.get("address", "")) for machine in networks.get("control_planes") or ()}
    taken |= {_address(text) for text in networks.get("balancers") or ()}
    if address is None:
        yield f"{option}: expected an address of IPv4, got {text}."
    elif nodes and address not in nodes:
        yield f"{option}: {address} is not in networking_node_network {nodes}, so that no machine would find it."
    elif nodes and address in (nodes.network_address, nodes.broadcast_address):
        yield f"{option}: {address} is the first or the last of {nodes}, which no machine can have."
    elif address in taken:
        yield f"{option}: a machine has {address} already. Choose one that is free."
    if not networks.get("control_planes"):
        yield "Option networking_control_planes: expected at least one to lead the virtual address to, got none."
    if networks.get("router_id", 1) not in ROUTER_IDS:
        yield f"Option networking_router_id: expected 1 to 255, got {networks['router_id']}."
    if not networks.get("interface"):
        yield "Option networking_interface: expected the interface that is to have the virtual address, got none."


def _address(text: str) -> IPv4Address | None:
    try:
        return IPv4Address(text)
    except ValueError:
        return None


class FilterModule:
    """The filter."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        """Give it by its name."""
        return {"network_problems": network_problems}
