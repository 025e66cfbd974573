# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The network of a node's pods: one bridge, addresses from the node's own range (CNI 1.0.0).

A pod sends everything to the bridge, and the node routes it: to another pod here, into the mesh, or outside with the
address of the node. Who may pass is the firewall's matter. https://www.cni.dev/docs/spec/
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

from node_agent.errors import PermanentError
from node_agent.network.names import BRIDGE

if TYPE_CHECKING:
    from ipaddress import IPv4Network

FOLDER: Final = Path("/run/cni/net.d")
"""Where containerd reads it (`conf_dir`). It is gone after a boot, and so is every pod."""
FILE: Final = "10-constellation.conflist"
LEASES: Final = "/run/cni/networks"
"""Which address which pod has: as short-lived as the pods' sandboxes, so a power cut leaves no address taken."""
SYSCTLS: Final = {
    # What goes from a pod to a Service and back on the same bridge must pass the rules that translate its addresses.
    "net/bridge/bridge-nf-call-iptables": "1",
    "net/bridge/bridge-nf-call-ip6tables": "1",
    "net/ipv4/ip_forward": "1",
}


def configuration(pods: IPv4Network, mtu: int) -> dict[str, object]:
    """Give the configuration of the plugins bridge, host-local and portmap.

    Args:
        pods: addresses of this node's pods.
        mtu: of the mesh, in bytes: what is larger would not fit in.
    """
    bridge = {
        "type": "bridge",
        "bridge": BRIDGE,
        "isDefaultGateway": True,
        "hairpinMode": True,  # a pod may reach itself through its Service
        "ipMasq": False,  # the firewall does it, and not for what goes to pods of other nodes
        "mtu": mtu,
        "ipam": {"type": "host-local", "ranges": [[{"subnet": str(pods)}]], "dataDir": LEASES},
    }
    portmap = {"type": "portmap", "backend": "nftables", "capabilities": {"portMappings": True}}
    return {"cniVersion": "1.0.0", "name": "constellation", "plugins": [bridge, portmap]}


def write_configuration(pods: IPv4Network, mtu: int, folder: Path = FOLDER) -> None:
    """Write it where containerd looks, whole or not at all; nothing where it is there already.

    Raises:
        PermanentError: it cannot be written.
    """
    text = json.dumps(configuration(pods, mtu), indent=2) + "\n"
    path, draft = folder / FILE, folder / f".{FILE}.draft"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.read_text() == text:
            return
        draft.write_text(text)
        draft.replace(path)
    except OSError as error:
        raise PermanentError(f"cannot write {path}: {error.strerror}") from None


def allow_forwarding(settings: Path = Path("/proc/sys")) -> None:
    """Make the kernel forward packets of pods, and show those on the bridge to the rules; after the rules are there.

    Raises:
        PermanentError: the kernel cannot.
    """
    for name, value in SYSCTLS.items():
        try:
            if (settings / name).read_text().strip() != value:
                (settings / name).write_text(value)
        except OSError as error:
            raise PermanentError(
                f"cannot set {settings / name} to {value}: {error.strerror}",
                hint="does the image load the module br_netfilter?",
            ) from None
