# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What runs inside a machine of `machines`: the agent's part of Kubernetes, steered from the command line.

inside.py init VERSION NAME MESH-ADDRESS ADDRESS
inside.py join NAME ROLE MESH-ADDRESS TICKET
inside.py start
inside.py pod-cidr NAME
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import load_pem_private_key

from constellation_core.keys.secret import Secret
from constellation_core.roles import Role
from node_agent.errors import AgentError
from node_agent.kubernetes import Kubernetes
from node_agent.parts import ControlPlaneFile, JoinPlan
from tests.node_agent.kubernetes.plans import cluster_plan

if TYPE_CHECKING:
    from typing import Any


async def seed() -> None:
    """Do what the agent does before containerd starts."""
    await asyncio.to_thread(Path("/run/started").write_text, "seeded\n")


async def resumable() -> None:
    """Say that the power may be cut."""
    report("resumable")


def report(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def join_plan(name: str, role: str, mesh_address: str, file: str) -> JoinPlan:
    ticket: Any = json.loads(Path(file).read_text(encoding="utf-8"))
    files = [
        ControlPlaneFile(path, Secret(base64.b64decode(content))) for path, content in ticket.get("files", {}).items()
    ]
    key: Any = load_pem_private_key(ticket["key"].encode(), password=None)
    return JoinPlan(
        node_name=name,
        role=Role(role),
        mesh_address=IPv4Address(mesh_address),
        kubernetes_version=ticket["version"],
        components=cluster_plan(ticket["version"]).components,
        api_endpoint=ticket["endpoint"],
        ca_hash=ticket["ca_hash"],
        bootstrap_token=Secret(b"abcdef.0123456789abcdef"),
        kubelet_certificate=ticket["certificate"].encode(),
        kubelet_key=key,
        control_plane_files=tuple(files),
    )


async def main(command: str, *arguments: str) -> None:
    kubernetes = Kubernetes(prepare_containerd=seed)
    match command:
        case "init":
            version, name, mesh_address, address = arguments
            plan = cluster_plan(version, name=name, mesh_address=mesh_address, address=address)
            sys.stdout.write((await kubernetes.init(plan, report)).decode())
        case "join":
            name, role, mesh_address, file = arguments
            await kubernetes.join(join_plan(name, role, mesh_address, file), report, resumable=resumable)
        case "start":
            await kubernetes.start_kubelet(report)


if __name__ == "__main__":
    try:
        asyncio.run(main(*sys.argv[1:]))
    except AgentError as error:
        sys.exit(f"{type(error).__name__}: {error}\nhint: {error.hint}")
