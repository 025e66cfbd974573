# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The network of a node: the WireGuard mesh, the rules that keep cluster traffic in it, and the network of its pods.

    mesh = Mesh(tcp_ports=(6443, 9000, 9999))
    await mesh.protect(None)                                        # the node lets in what it must, and nothing else
    await mesh.protect(pod_cidr)                                    # before the first pod, and before the mesh
    await mesh.start(key=key, address=ticket_address, secret=measurement_secret)
    await mesh.set_peers(peers_of_the_ticket)
    await mesh.lead_to_api(served_here=False)                       # where the API has no endpoint of its own
    await mesh.watch_api()                                          # until cancelled
    await mesh.follow(Path("/etc/kubernetes/kubelet.conf"))         # until cancelled

It fails closed, and in the kernel: addresses of mesh, pods and Services are never seen on an interface that leads out
of the node, in either direction, whoever sends. Without the interface, without a peer or without this program, packets
are dropped and not sent in clear. Section 7 of the protocols.
"""

from node_agent.network.mesh import Mesh
from node_agent.parts import Peer

__all__ = ["Mesh", "Peer"]
