# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""As much of a kubelet as kubeadm can see, for machines that are namespaces.

It answers at its health port, runs static pods as processes, keeps its certificate where the real one does, and
registers its node with the credentials of its kubeconfig. It runs no other pods.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Final

import yaml

MANIFESTS: Final = Path("/etc/kubernetes/manifests")
KUBECONFIG: Final = Path("/etc/kubernetes/kubelet.conf")
PODS: Final = Path("/run/pods")  # process ids
CURRENT: Final = Path("/var/lib/kubelet/pki/kubelet-client-current.pem")


class Health(BaseHTTPRequestHandler):
    """Answers that all is well."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the one it overrides
        """Say nothing."""


def serve_health() -> None:
    HTTPServer.allow_reuse_address = True
    server = HTTPServer(("127.0.0.1", 10248), Health)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def static_pods() -> dict[str, list[str]]:
    found = {}
    for path in sorted(MANIFESTS.glob("*.yaml")):
        manifest: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        if manifest:
            found[path.stem] = manifest["spec"]["containers"][0]["command"]
    return found


def run_pod(name: str, command: list[str]) -> None:
    """Start it unless it runs: pods outlive the kubelet that started them."""
    pid_file = PODS / name
    if pid_file.exists() and is_running(pid_file.read_text(encoding="utf-8")):
        return
    with Path(f"/var/log/{name}.log").open("ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    PODS.mkdir(exist_ok=True)
    pid_file.write_text(str(process.pid), encoding="utf-8")


def is_running(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def keep_certificate() -> None:
    """Keep a certificate that the kubeconfig brings where the real one keeps it."""
    if CURRENT.exists() or not KUBECONFIG.exists():
        return
    user = yaml.safe_load(KUBECONFIG.read_text(encoding="utf-8"))["users"][0]["user"]
    if "client-key-data" in user:
        parts = [base64.b64decode(user[f"client-{part}-data"]) for part in ("certificate", "key")]
        CURRENT.parent.mkdir(exist_ok=True)
        target = CURRENT.with_name("kubelet-client-2026-01-01-00-00-00.pem")
        target.write_bytes(b"".join(parts))
        CURRENT.symlink_to(target)


def ask(method: str, path: str, body: object, *, kind: str = "application/json") -> Any:  # noqa: ANN401 - JSON
    """Ask the API server, as the node."""
    kubeconfig = yaml.safe_load(KUBECONFIG.read_text(encoding="utf-8"))
    cluster = kubeconfig["clusters"][0]["cluster"]
    embedded = base64.b64decode(cluster.get("certificate-authority-data", "")).decode()
    tls = ssl.create_default_context(cafile=cluster.get("certificate-authority"), cadata=embedded or None)
    tls.load_cert_chain(CURRENT)
    data = json.dumps(body).encode()
    request = urllib.request.Request(cluster["server"] + path, data, {"Content-Type": kind}, method=method)
    with urllib.request.urlopen(request, context=tls, timeout=10) as answer:
        return json.load(answer)


def create(path: str, body: object) -> None:
    """Create an object unless it is there."""
    try:
        ask("POST", path, body)
    except urllib.error.HTTPError as error:
        if error.code != HTTPStatus.CONFLICT:
            raise


def register() -> None:
    """Register the node, ready, and tell of its static pods."""
    flags = dict(word.removeprefix("--").partition("=")[::2] for word in kubelet_arguments())
    name = flags.get("hostname-override", socket.gethostname())
    metadata = {"name": name, "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}}
    create("/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": metadata})
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    condition = {"type": "Ready", "status": "True", "lastHeartbeatTime": now, "lastTransitionTime": now}
    condition |= {"reason": "KubeletReady", "message": "a stand-in"}
    status = {"status": {"conditions": [condition], "addresses": [{"type": "InternalIP", "address": flags["node-ip"]}]}}
    node = ask("PATCH", f"/api/v1/nodes/{name}/status", status, kind="application/merge-patch+json")
    for path in sorted(MANIFESTS.glob("*.yaml")):
        show_pod(yaml.safe_load(path.read_text(encoding="utf-8")), node["metadata"])


def show_pod(pod: dict[str, Any], node: dict[str, Any]) -> None:
    """Show the API server a static pod."""
    owner = {"apiVersion": "v1", "kind": "Node", "name": node["name"], "uid": node["uid"], "controller": True}
    pod["metadata"]["name"] += f"-{node['name']}"
    pod["metadata"].setdefault("annotations", {})["kubernetes.io/config.mirror"] = "1"
    pod["metadata"]["ownerReferences"] = [owner]
    pod["spec"]["nodeName"] = node["name"]
    pod["spec"]["tolerations"] = [{"operator": "Exists", "effect": "NoExecute"}]
    pod.pop("status", None)
    create("/api/v1/namespaces/kube-system/pods", pod)


def kubelet_arguments() -> list[str]:
    text = Path("/var/lib/kubelet/kubeadm-flags.env").read_text(encoding="utf-8")
    return text.partition("=")[2].strip().strip('"').split()


def main() -> None:
    if not Path("/var/lib/kubelet/config.yaml").exists():
        sys.exit("no configuration yet")
    Path("/run/kubelet.pid").write_text(str(os.getpid()))
    serve_health()
    registered: set[str] = set()
    while True:
        for name, command in static_pods().items():
            run_pod(name, command)
        keep_certificate()
        try:
            if registered != set(static_pods()) | {"node"}:
                register()
                registered = set(static_pods()) | {"node"}
        except (OSError, KeyError) as error:
            sys.stderr.write(f"not registered: {error}\n")
        time.sleep(0.2)


if __name__ == "__main__":
    main()
