# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Many nodes that join at once, each with a TPM of software; one process of a storm.

    python -m benchmarks.joining_nodes PORT FIRST COUNT

It says "ready" on stdout, waits for a line on stdin, and then prints JSON: tickets, refusals, seconds of the slowest.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import uuid
from time import perf_counter

from attestation.case import Mark
from attestation.issuer import Devices, Issuer, issuer_for
from attestation.testing.tpm import SoftwareTpm
from attestation.variant import Variant
from benchmarks.cluster_world import JOIN_CONFIG
from constellation_core.channel.verifier import PolicyVerifier
from constellation_core.join_config import JoinConfig
from constellation_proto import join_pb2
from node_agent.errors import AgentError
from node_agent.joining import JoinRequest, Service, ask_for_ticket

VERIFIER = PolicyVerifier(policies=JoinConfig.from_yaml(JOIN_CONFIG).policies, mark=Mark.ANY)


async def main(port: int, first: int, count: int) -> None:
    """Make the nodes, wait for the word, join."""
    nodes = [(new_request(f"node-{number}"), software_issuer()) for number in range(first, first + count)]
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    start = perf_counter()
    outcomes = await asyncio.gather(*(_join(port, request, issuer) for request, issuer in nodes))
    refusals = [outcome for outcome in outcomes if outcome]
    print(json.dumps({"tickets": count - len(refusals), "refusals": refusals[:3], "seconds": perf_counter() - start}))


def new_request(name: str) -> JoinRequest:
    """Make the request of a worker with a disk of its own."""
    return JoinRequest.new(name, join_pb2.ROLE_WORKER, disk=str(uuid.uuid4()), wireguard_public_key=os.urandom(32))


def software_issuer() -> Issuer:
    """Make a machine with an identity of its own."""
    return issuer_for(Variant.QEMU_VTPM, Devices(tpm=SoftwareTpm()))


async def _join(port: int, request: JoinRequest, issuer: Issuer) -> str:
    service = Service("127.0.0.1", port)
    try:
        await ask_for_ticket([service], request, verifier=VERIFIER, issuer=issuer, timeout=300)
    except AgentError as error:
        return str(error)
    return ""


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
