# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a user has after `constellation mini up`: Kubernetes that works, and a network that tells nothing."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Final

import pytest

from constellation_engine.machines.config_drive import Nic, mac_address
from tests.mini.segment import in_clear, udp_frame

if TYPE_CHECKING:
    from tests.mini.cluster import Cluster

pytestmark = pytest.mark.timeout(2400)

SECRET_WORDS: Final = "what one pod tells another is nobody's business"
NODES: Final = ["control-plane-0", "worker-0"]

WEB: Final = f"""
import http.server, os
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = os.environ["HOSTNAME"].encode() + b" " + b"{SECRET_WORDS}"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("", 8080), Page).serve_forever()
"""

ASK: Final = """
import urllib.request, socket
seen = set()
for _ in range(200):
    try:
        seen.add(urllib.request.urlopen("http://web.default.svc.cluster.local", timeout=10).read().decode().split()[0])
    except OSError as error:
        print(error)
    if len(seen) == 2:
        print("both answered")
        break
"""

LISTEN: Final = """
import socket
listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
listening.bind(("", 7777))
print("listening")
while True:
    print(listening.recv(100).decode())
"""

SEND: Final = """
import socket
for _ in range(20):
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"from a pod", ("{address}", 7777))
"""


def test_both_nodes_are_ready_and_every_pod_runs(cluster: Cluster) -> None:
    assert sorted(cluster.ready()) == NODES
    pods = cluster.get("pods", "--all-namespaces")["items"]
    assert {pod["status"]["phase"] for pod in pods} == {"Running"}
    assert {pod["metadata"]["labels"].get("k8s-app") for pod in pods} >= {"kube-dns", "kube-proxy"}


def test_what_is_secret_is_for_the_owner_alone(cluster: Cluster) -> None:
    files = [path for path in cluster.folder.rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in cluster.folder.glob("*")} == {0}
    assert cluster.folder.stat().st_mode & 0o077 == 0
    assert files


def test_a_deployment_answers_across_nodes_by_its_name_and_nobody_between_them_reads_it(cluster: Cluster) -> None:
    pod = cluster.python("web", WEB)
    pod["spec"]["topologySpreadConstraints"] = [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"app": "web"}},
        }
    ]
    pod["spec"]["tolerations"] = [{"operator": "Exists"}]
    template = {"metadata": {"labels": {"app": "web"}}, "spec": pod["spec"]}
    labels = {"matchLabels": {"app": "web"}}
    cluster.apply(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web"},
            "spec": {"replicas": 2, "selector": labels, "template": template},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
        },
    )
    cluster.kubectl("rollout", "status", "deployment/web", "--timeout=600s", seconds=700)
    assert sorted(one["spec"]["nodeName"] for one in cluster.get("pods", "-l", "app=web")["items"]) == NODES
    cluster.apply(cluster.python("asking", ASK, node="worker-0"))
    cluster.wait("an answer", lambda: None if "both answered" in cluster.kubectl("logs", "asking") else "not yet")
    frames = cluster.tap.frames()
    assert not set(in_clear(frames))
    assert not [frame for frame in frames if SECRET_WORDS.encode() in frame]
    assert sum(len(frame) for frame in frames) > 100_000  # we did listen
    cluster.kubectl("delete", "deployment/web", "service/web", "pod/asking")


def test_a_packet_for_a_pod_from_outside_the_mesh_is_dropped(cluster: Cluster) -> None:
    cluster.apply(cluster.python("listening", LISTEN, node="worker-0"))
    cluster.wait("a pod", lambda: None if "listening" in cluster.kubectl("logs", "listening") else "not yet")
    cluster.wait_running()
    address = cluster.get("pod", "listening")["status"]["podIP"]
    card = mac_address("worker-0", Nic.SEGMENT)
    for source in ("192.168.77.200", "10.244.0.2", "10.213.1.1"):
        for _ in range(20):
            cluster.tap.send(udp_frame(source, address, 7777, b"from outside", hardware=card))
    cluster.apply(cluster.python("sending", SEND.format(address=address), node="control-plane-0"))
    cluster.wait("a datagram", lambda: None if "from a pod" in cluster.kubectl("logs", "listening") else "not yet")
    assert "from outside" not in cluster.kubectl("logs", "listening")
    cluster.kubectl("delete", "pod/listening", "pod/sending")


def test_a_volume_lies_on_the_encrypted_disk(cluster: Cluster) -> None:
    words = "a volume keeps this"
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "kept"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
    }
    program = f"import os, time; open('/kept/file', 'w').write('{words} ' * 1000); os.sync(); print('written')"
    pod = cluster.python("writing", program, volumeMounts=[{"name": "kept", "mountPath": "/kept"}])
    pod["spec"] |= {
        "volumes": [{"name": "kept", "persistentVolumeClaim": {"claimName": "kept"}}],
        "restartPolicy": "Never",
        "nodeSelector": {"kubernetes.io/hostname": "worker-0"},
    }
    cluster.apply(claim, pod)
    cluster.wait("a file", lambda: None if "written" in cluster.kubectl("logs", "writing") else "not yet")
    assert not cluster.on_disk("worker-0", words.encode())
    assert cluster.on_disk("worker-0", b"constellation-state")  # we did search: this is the label of the header
    cluster.kubectl("delete", "pod/writing", "pvc/kept")
