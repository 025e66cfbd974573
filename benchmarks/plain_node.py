# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The baseline's node: kubeadm as everybody uses it, in a machine of ours. It lies on the config drive.

    python3 plain_node.py NAME ADDRESS FIRST VERSION      FIRST: address of the control plane

Same firmware, kernel, programs and container images as in our nodes; what is left out is what we add: the encrypted
disk, the mesh, evidence, our services, and the settings of Kubernetes that we harden. Nobody tells the
agent who the machine is, so it waits.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from contextlib import suppress
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

from pyroute2 import IPRoute  # type: ignore[import-untyped]
from pyroute2.netlink.exceptions import NetlinkError  # type: ignore[import-untyped]

from node_agent.container_store import seed
from node_agent.disk.file_system import BINDS
from node_agent.evidence_runtime import write_evidence_runtime
from node_agent.kubernetes.paths import CONTAINERD_SOCKET, VOLUME_PLUGINS
from node_agent.network.pod_network import FOLDER, LEASES, allow_forwarding

TOKEN: Final = "abcdef.0123456789abcdef"  # of a cluster that lives for ten minutes
DISK: Final = "/dev/disk/by-id/virtio-constellation-state"
STATE: Final = Path("/run/state")
PATIENT: Final = dict.fromkeys(
    ("controlPlaneComponentHealthCheck", "discovery", "kubeletHealthCheck", "kubernetesAPICall", "tlsBootstrap"),
    "20m0s",
)
BEGUN: Final = "plain kubeadm: begun"
BEGIN, END = "-- kubeconfig --", "-- end --"


def run(*command: str) -> None:
    """Run a program of the image."""
    subprocess.run(command, check=True)


def wait_for_boot() -> None:
    """Wait until everything runs but the agent."""
    with suppress(subprocess.CalledProcessError):  # something failed
        run("systemctl", "is-system-running", "--wait")


def mount_disk() -> None:
    """Give Kubernetes a plain file system."""
    run("mkfs.ext4", "-q", "-F", DISK)
    STATE.mkdir(exist_ok=True)
    run("mount", DISK, str(STATE))
    for folder in BINDS:
        source = STATE / folder.relative_to("/")
        source.mkdir(parents=True)
        folder.mkdir(parents=True, exist_ok=True)
        run("mount", "--bind", str(source), str(folder))


def configure_network(address: IPv4Address) -> None:
    """Give both cards their addresses, and pods a bridge."""
    with IPRoute() as route:
        for card, own in (("eth0", "10.0.2.15"), ("eth1", str(address))):
            (index,) = route.link_lookup(ifname=card)
            route.link("set", index=index, state="up")
            with suppress(NetlinkError):  # the agent was quicker
                route.addr("add", index=index, address=own, prefixlen=24)
        with suppress(NetlinkError):
            route.route("add", dst="0.0.0.0/0", gateway="10.0.2.2")
    allow_forwarding()
    pods = f"10.244.{int(address) & 0xFF}.0/24"
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": False}
    plugin = {**bridge, "ipam": {"type": "host-local", "ranges": [[{"subnet": pods}]], "dataDir": LEASES}}
    place = FOLDER / "10-plain.conflist"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps({"cniVersion": "1.0.0", "name": "plain", "plugins": [plugin]}))


def registration(name: str, address: IPv4Address) -> dict[str, object]:
    """What both commands of kubeadm are told of a node."""
    return {
        "name": name,
        "criSocket": CONTAINERD_SOCKET,
        "imagePullPolicy": "Never",
        "kubeletExtraArgs": [{"name": "node-ip", "value": str(address)}],
    }


def init_documents(name: str, address: IPv4Address, version: str) -> list[dict[str, object]]:
    """What `kubeadm init` is told."""
    plugins = [{"name": "flex-volume-plugin-dir", "value": VOLUME_PLUGINS}]
    kubelet = {"cgroupDriver": "systemd", "makeIPTablesUtilChains": False, "volumePluginDir": VOLUME_PLUGINS}
    return [
        {
            "apiVersion": "kubeadm.k8s.io/v1beta4",
            "kind": "InitConfiguration",
            "bootstrapTokens": [{"token": TOKEN, "ttl": "2h0m0s"}],
            "nodeRegistration": registration(name, address),
            "localAPIEndpoint": {"advertiseAddress": str(address)},
            "timeouts": PATIENT,
        },
        {
            "apiVersion": "kubeadm.k8s.io/v1beta4",
            "kind": "ClusterConfiguration",
            "kubernetesVersion": version,
            "controlPlaneEndpoint": f"{address}:6443",
            "networking": {"podSubnet": "10.244.0.0/16"},
            "apiServer": {"certSANs": ["127.0.0.1"]},
            "controllerManager": {"extraArgs": plugins},
        },
        {"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration", **kubelet},
        {"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration", "mode": "nftables"},
    ]


def join_documents(name: str, address: IPv4Address, first: IPv4Address) -> list[dict[str, object]]:
    """What `kubeadm join` is told."""
    way = {"token": TOKEN, "apiServerEndpoint": f"{first}:6443", "unsafeSkipCAVerification": True}
    return [
        {
            "apiVersion": "kubeadm.k8s.io/v1beta4",
            "kind": "JoinConfiguration",
            "discovery": {"bootstrapToken": way, "timeout": "20m0s"},
            "nodeRegistration": registration(name, address),
            "timeouts": PATIENT,
        }
    ]


def main(name: str, own: str, control_plane: str, version: str) -> None:
    """Become a node."""
    print(BEGUN, flush=True)
    address, first = IPv4Address(own), IPv4Address(control_plane)
    wait_for_boot()
    mount_disk()
    configure_network(address)
    seed()
    write_evidence_runtime()  # containerd's configuration names it
    run("systemctl", "start", "containerd")
    is_first = address == first
    documents = init_documents(name, address, version) if is_first else join_documents(name, address, first)
    configuration = Path("/run/kubeadm.yaml")
    configuration.write_text("\n---\n".join(map(json.dumps, documents)))
    run("kubeadm", "init" if is_first else "join", f"--config={configuration}", "--skip-phases=preflight")
    if is_first:
        kubeconfig = base64.b64encode(Path("/etc/kubernetes/admin.conf").read_bytes()).decode()
        print(BEGIN, *(kubeconfig[at : at + 76] for at in range(0, len(kubeconfig), 76)), END, sep="\n", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
