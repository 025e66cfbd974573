# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Nodes that can be verified: a real TPM made of software, booted and marked, and the real verification service.

with node_tpm(tmp_path, CLUSTER_ID) as tpm:  # registers as `POLICY` wants them
async with serving_node("worker-1", tpm, tmp_path / "cluster-id") as node:
node.port  # of the attested channel

async with lying_node(issuer, answer) as port:  # attests itself, and states whatever `answer(nonce)` gives
...
"""

from __future__ import annotations

import hashlib
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Final

from attestation.policy import Policy
from attestation.testing.swtpm import running_swtpm
from attestation.tpm.client import Tpm
from attestation.variant import Variant
from constellation_core.channel.server import AttestedServer
from constellation_proto import verify_pb2
from constellation_proto.verify_grpc import VerifyBase
from constellation_services.verify.service import Listening, Settings, serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

    from grpclib.server import Stream

    from attestation.issuer import Issuer
    from attestation.testing.swtpm import Swtpm

CLUSTER_ID: Final = hashlib.sha256(b"a cluster").digest()
OTHER_CLUSTER_ID: Final = hashlib.sha256(b"another cluster").digest()
MARK_REGISTER: Final = 15

_BOOTED: Final = {register: hashlib.sha256(b"register %d" % register).digest() for register in (4, 9, 11)}
_REGISTERS: Final = {register: hashlib.sha256(bytes(32) + digest).hexdigest() for register, digest in _BOOTED.items()}
POLICY: Final = Policy.from_mapping(
    {
        "variant": "qemu-vtpm",
        "measurements": {
            str(register): {"expected": value, "enforced": True}
            for register, value in {**_REGISTERS, 12: bytes(32).hex(), 13: bytes(32).hex()}.items()
        },
    }
)
"""What accepts such nodes."""


@contextmanager
def node_tpm(folder: Path, cluster_id: bytes = b"") -> Iterator[Swtpm]:
    """Run a TPM in which our image was measured.

    Args:
        folder: where it lives; must exist.
        cluster_id: whose mark it carries; empty for none.
    """
    with running_swtpm(folder, endorsed=False) as running:
        with Tpm.open(running.address) as tpm:
            for register, digest in _BOOTED.items():
                tpm.pcr_extend(register, digest)
            if cluster_id:
                tpm.pcr_event(MARK_REGISTER, cluster_id)
        yield running


@asynccontextmanager
async def serving_node(
    name: str,
    tpm: Swtpm,
    cluster_id: bytes = CLUSTER_ID,
    /,
    **settings: Any,  # noqa: ANN401 - as the settings say
) -> AsyncIterator[Listening]:
    """Run the verification service of a node.

    Args:
        name: of the node.
        tpm: its TPM.
        cluster_id: the cluster that its agent says it belongs to.
        settings: of the service, where they differ.
    """
    file = tpm.directory / "cluster-id"
    file.write_text(f"{cluster_id.hex()}\n", encoding="ascii")
    known = {"host": "127.0.0.1", "port": 0, "http_port": 0, "status_port": 0, "cluster_id": file, "grace": 1.0}
    chosen = {"variant": Variant.QEMU_VTPM, "node_name": name, "tpm": tpm.address, **known, **settings}
    async with serve(Settings(**chosen)) as listening:
        yield listening


class _Liar(VerifyBase):
    def __init__(self, answer: Callable[[bytes], Awaitable[verify_pb2.Statement]]) -> None:
        self._answer = answer

    async def GetStatement(  # noqa: N802 - the name of the method
        self, stream: Stream[verify_pb2.GetStatementRequest, verify_pb2.Statement]
    ) -> None:
        request = await stream.recv_message() or verify_pb2.GetStatementRequest()
        await stream.send_message(await self._answer(request.nonce))


@asynccontextmanager
async def lying_node(issuer: Issuer, answer: Callable[[bytes], Awaitable[verify_pb2.Statement]]) -> AsyncIterator[int]:
    """Run a service that attests itself as it should, and states something else.

    Args:
        issuer: what makes the evidence of its channel.
        answer: makes its statement for a nonce.

    Yields:
        Its TCP port.
    """
    server = AttestedServer([_Liar(answer)], issuer=issuer)
    await server.start("127.0.0.1", 0)
    try:
        yield server.port
    finally:
        await server.close()
