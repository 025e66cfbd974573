# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Measure channel and services beside their targets.

    python -m benchmarks.cluster [--nodes N] [--rounds N] [--markdown]

Everything real: API server and etcd, key service and join service as processes, swtpm on both sides of the channel. The
peer of the channel is the same connection and request over plain TLS 1.3 by the standard library, without evidence.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

import grpc.aio
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from grpclib.client import Channel
from grpclib.server import Server

from attestation.issuer import open_issuer
from attestation.variant import Variant
from benchmarks import machine
from benchmarks.cluster_world import World, running_world
from benchmarks.joining_nodes import VERIFIER, new_request
from benchmarks.table import Promise, Row, as_markdown, as_text
from constellation_core.channel.client import attested_channel
from constellation_core.channel.server import AttestedServer
from constellation_core.keys.derivation import MEASUREMENT_SECRET
from constellation_core.names import KEY_SERVICE_HOST
from constellation_proto import verify_pb2
from constellation_proto.keys_pb2 import GetDataKeyRequest
from constellation_proto.keys_pb2_grpc import KeysStub
from constellation_proto.verify_grpc import VerifyBase, VerifyStub
from node_agent.joining import Service, ask_for_ticket

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from grpclib.server import Stream

    from attestation.issuer import Issuer

_PROCESSES = 2  # that a storm comes from
_KEYS = 4000
_KEYS_AT_ONCE = 64


class _Echo(VerifyBase):
    async def GetStatement(self, stream: Stream[verify_pb2.GetStatementRequest, verify_pb2.Statement]) -> None:  # noqa: N802
        request = await stream.recv_message()
        await stream.send_message(verify_pb2.Statement(evidence=request.nonce if request else b""))


def main() -> int:
    """Run the benchmarks of the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster", description="Measure beside targets.")
    parser.add_argument("--nodes", type=int, default=1000, help="nodes of the storm")
    parser.add_argument("--rounds", type=int, default=200, help="repetitions; the median counts")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running_world(Path(folder)) as world:
        rows = list(_rows(world, options))
    print(machine.describe(None), end="\n\n")
    print(as_markdown(rows) if options.markdown else as_text(rows))
    return 0


def _rows(world: World, options: argparse.Namespace) -> Iterator[Row]:
    with (
        open_issuer(Variant.QEMU_VTPM, tpm=world.service_tpm) as server,
        open_issuer(Variant.QEMU_VTPM, tpm=world.node_tpm) as client,
    ):
        _say("measuring connections")
        yield asyncio.run(_connections(server, client, world.folder, options.rounds))
    with world.join_service() as service, open_issuer(Variant.QEMU_VTPM, tpm=world.node_tpm) as node:
        _say("measuring tickets")
        yield asyncio.run(_tickets(service.port, node, options.rounds))
    with world.join_service() as service:
        _say(f"measuring a storm of {options.nodes} nodes")
        before = service.processor_seconds()
        outcome = _storm(service.port, options.nodes, first=0)
        processor, memory = service.processor_seconds() - before, service.memory()
    with world.join_service(watched=True) as service:  # to watch costs a fifth of its time, so not in the same run
        _say("measuring blocks of the event loop in another storm")
        service.child.send_signal(signal.SIGUSR1)
        _storm(service.port, options.nodes, first=options.nodes)
    blocks = json.loads((world.folder / "blocks.json").read_text(encoding="utf-8"))
    yield from _storm_rows(options.nodes, outcome, processor, memory, blocks)
    _say("measuring keys")
    yield asyncio.run(_keys(world))


async def _connections(server: Issuer, client: Issuer, folder: Path, rounds: int) -> Row:
    attested = AttestedServer([_Echo()], issuer=server, verifier=VERIFIER)
    await attested.start("127.0.0.1", 0)
    plain = Server([_Echo()])
    port = await _serve_plainly(plain, folder)
    try:

        async def ours() -> None:
            async with attested_channel("127.0.0.1", attested.port, verifier=VERIFIER, issuer=client) as channel:
                await _ask(channel)

        async def theirs() -> None:
            channel = Channel("127.0.0.1", port, ssl=_trusting())
            await _ask(channel)
            channel.close()

        figures = [(await _milliseconds(ours), await _milliseconds(theirs)) for _ in range(rounds)]
    finally:
        await attested.close()
        plain.close()
        await plain.wait_closed()
    mine, peers = (median(column) for column in zip(*figures, strict=True))
    return Row(
        what="mutual attested connection, one request (swtpm)",
        ours=f"{mine:.1f} ms",
        peer=f"{peers:.1f} ms (TLS 1.3, no evidence)",
        ratio=f"{mine / peers:.1f} ×",
        promises=(Promise("≤ 7 ms", kept=mine <= 7),),  # noqa: PLR2004
    )


async def _tickets(port: int, node: Issuer, rounds: int) -> Row:
    async def join(number: int) -> float:
        request = new_request(f"ticket-{number}")
        return await _milliseconds(
            lambda: ask_for_ticket([Service("127.0.0.1", port)], request, verifier=VERIFIER, issuer=node, timeout=60)
        )

    figure = median([await join(number) for number in range(rounds)])
    return Row(
        what="the same with a ticket",
        ours=f"{figure:.1f} ms",
        promises=(Promise("≤ 30 ms", kept=figure <= 30),),  # noqa: PLR2004
    )


def _storm(port: int, nodes: int, *, first: int) -> dict[str, float]:
    share = nodes // _PROCESSES
    children = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.joining_nodes", str(port), str(first + index * share), str(share)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for index in range(_PROCESSES)
    ]
    for child in children:
        assert child.stdout is not None
        child.stdout.readline()
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    outcomes = [json.loads(child.communicate(timeout=600)[0]) for child in children]
    for refusal in {refusal for outcome in outcomes for refusal in outcome["refusals"]}:
        _say(f"refused: {refusal}")
    return {
        "tickets": sum(outcome["tickets"] for outcome in outcomes),
        "seconds": max(outcome["seconds"] for outcome in outcomes),
    }


def _storm_rows(
    nodes: int, outcome: dict[str, float], processor: float, memory: float, blocks: dict[str, float]
) -> Iterator[Row]:
    refused = nodes - outcome["tickets"]
    yield Row(
        what=f"storm of {nodes} nodes: processor time of the join service",
        ours=f"{processor:.1f} s, {refused:.0f} refused, last ticket after {outcome['seconds']:.0f} s",
        promises=(Promise("≤ 10 s, none refused", kept=processor <= 10 and not refused),),  # noqa: PLR2004
    )
    yield Row(
        what="longest block of its event loop",
        ours=f"{blocks['processor'] * 1000:.1f} ms ({blocks['wall'] * 1000:.1f} ms with all that interrupted it)",
        promises=(Promise("≤ 5 ms", kept=blocks["processor"] <= 0.005),),  # noqa: PLR2004
    )
    yield Row(
        what="its memory after the storm",
        ours=f"{memory:.0f} MiB",
        promises=(Promise("≤ 90 MiB", kept=memory <= 90),),  # noqa: PLR2004
    )


async def _keys(world: World) -> Row:
    """Ask by grpcio: the client that our services use needs more time for a key than the service."""
    service = world.key_service
    credentials = grpc.ssl_channel_credentials((world.control_plane.pki / "ca.crt").read_bytes())
    options = (("grpc.ssl_target_name_override", KEY_SERVICE_HOST),)
    metadata = (("authorization", f"Bearer {world.token_file.read_text(encoding='ascii')}"),)
    async with grpc.aio.secure_channel(f"127.0.0.1:{service.port}", credentials, options) as channel:
        stub = KeysStub(channel)  # type: ignore[no-untyped-call] # generated
        request = GetDataKeyRequest(id=MEASUREMENT_SECRET, length=32)
        await stub.GetDataKey(request, metadata=metadata)
        before, start = service.processor_seconds(), perf_counter()
        queue = iter(range(_KEYS))

        async def ask() -> None:
            for _ in queue:
                await stub.GetDataKey(request, metadata=metadata)

        await asyncio.gather(*(ask() for _ in range(_KEYS_AT_ONCE)))
        elapsed, processor = perf_counter() - start, service.processor_seconds() - before
    speed = _KEYS / elapsed
    return Row(
        what="key service",
        ours=f"{speed:,.0f} keys/s, {_KEYS / processor:,.0f} per second of its processor time",
        promises=(Promise("≥ 2,000 keys/s", kept=speed >= 2000),),  # noqa: PLR2004
    )


async def _serve_plainly(server: Server, folder: Path) -> int:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["h2"])
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "peer")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1)
    builder = builder.not_valid_before(now - timedelta(1)).not_valid_after(now + timedelta(1))
    pem = builder.sign(key, SHA256()).public_bytes(Encoding.PEM)
    file = folder / "peer.pem"
    file.write_bytes(pem + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context.load_cert_chain(file)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    await server.start("127.0.0.1", port, ssl=context)
    return port


def _trusting() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    return context


async def _ask(channel: Channel) -> None:
    await VerifyStub(channel).GetStatement(verify_pb2.GetStatementRequest(nonce=bytes(32)))


async def _milliseconds(work: Callable[[], Awaitable[object]]) -> float:
    start = perf_counter()
    await work()
    return (perf_counter() - start) * 1000


def _say(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
