# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Initialise the first node: attest it, and only then hand over what makes it a cluster.

The request has an id of its own, written down before it is sent: whoever lost the connection asks with the same again,
and gets the answer to the first one.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import yaml
from grpclib import GRPCError
from grpclib.exceptions import ProtocolError, StreamTerminatedError

from attestation.case import Mark
from constellation_core.channel.client import attested_channel
from constellation_core.channel.verifier import PolicyVerifier
from constellation_core.errors import ChannelError, PeerNotAcceptedError, PeerUnavailableError
from constellation_core.keys.key_material import KeyMaterial
from constellation_core.networks import API_ENDPOINT
from constellation_engine.errors import BringUpError
from constellation_engine.local_cluster.machines import LOOPBACK, places
from constellation_engine.local_cluster.settings import join_config, read_settings
from constellation_engine.machines.reachability import listening
from constellation_proto import init_pb2
from constellation_proto.init_grpc import InitStub

if TYPE_CHECKING:
    from collections.abc import Callable

    from constellation_engine.local_cluster.workspace import Workspace
    from constellation_engine.machines import Machine

_CONNECT: Final = 45.0  # seconds for one try: an emulated TPM takes its time
_PAUSE: Final = 1.0


def request_of(workspace: Workspace) -> init_pb2.InitRequest:
    """Write the request."""
    state, image, settings = workspace.state, workspace.image(), read_settings(workspace)
    request = init_pb2.InitRequest(
        request_id=state.request_id,
        init_secret=workspace.init_secret().reveal(),
        key_material=KeyMaterial.of(workspace.master_secret()).to_message(),
        measurement_salt=state.measurement_salt,
        cluster_name=state.spec.name,
        kubernetes_version=f"v{image.read_build().kubernetes}",
        components=[component.to_message() for component in image.read_manifest().components],
        endpoint=API_ENDPOINT,
        certificate_sans=[LOOPBACK, *(str(place.address) for place in places(workspace)), *settings.certificate_sans],
        service_cidr=str(settings.service_network),
        pod_cidr=str(settings.pod_network),
        join_config=join_config(workspace).to_yaml(),
    )
    request.now.GetCurrentTime()
    return request


async def initialise(workspace: Workspace, machine: Machine, *, report: Callable[[str], None], seconds: float) -> None:
    """Initialise the first node, and keep what it answers.

    Nothing more is done where the answer to an earlier request was lost and the node was switched off since: it waits
    for recovery then.

    Args:
        workspace: of the cluster.
        machine: that it runs on.
        report: told of progress.
        seconds: that all of it may take.

    Raises:
        PeerNotAcceptedError: the machine did not boot the image.
        BringUpError: the node refused, failed, or took too long.
    """
    ports = machine.spec
    port, said = ports.host_port("init"), ""
    try:
        async with asyncio.timeout(seconds):
            while True:
                try:
                    done = await _ask(workspace, port, report)
                except (PeerUnavailableError, StreamTerminatedError, ProtocolError, OSError) as error:
                    before, said = said, str(error) or type(error).__name__
                    if said != before:
                        report(f"waiting for the first node: {said}")
                    if await listening([ports.host_port("recover")]):
                        return
                    await asyncio.sleep(_PAUSE)
                else:
                    break
    except TimeoutError:
        raise BringUpError(
            f"the first node was not initialised within {seconds:.0f} s: {said}",
            hint="its console says what it waits for; repeating the command goes on where it was",
        ) from None
    workspace.initialised(done.cluster_id, reachable_from_here(done.kubeconfig, ports.host_port("api-server")))
    await _acknowledge(workspace, port, done.cluster_id)


async def _acknowledge(workspace: Workspace, port: int, mark: bytes) -> None:
    """Tell the node that its answer is kept, so that it closes the port. It does so without us after a while."""
    verifier = PolicyVerifier(policies=[workspace.image().policy()], mark=mark)
    message = init_pb2.AcknowledgeRequest(
        request_id=workspace.state.request_id, init_secret=workspace.init_secret().reveal()
    )
    with suppress(GRPCError, ChannelError, StreamTerminatedError, ProtocolError, OSError):
        async with attested_channel(LOOPBACK, port, verifier=verifier, timeout=_CONNECT) as channel:
            await InitStub(channel).Acknowledge(message, timeout=_CONNECT)


async def _ask(workspace: Workspace, port: int, report: Callable[[str], None]) -> init_pb2.Done:
    """Attest, ask, and listen until it is done. A node that an earlier request marked has the mark of this cluster."""
    try:
        return await _ask_marked(workspace, port, Mark.UNMARKED, report)
    except PeerNotAcceptedError:
        mark = workspace.master_secret().cluster_id(workspace.state.measurement_salt)
        return await _ask_marked(workspace, port, mark, report)


async def _ask_marked(
    workspace: Workspace, port: int, mark: Mark | bytes, report: Callable[[str], None]
) -> init_pb2.Done:
    verifier = PolicyVerifier(policies=[workspace.image().policy()], mark=mark)
    async with attested_channel(LOOPBACK, port, verifier=verifier, timeout=_CONNECT) as channel:
        report("the first node is genuine, and booted the image")
        try:
            return await _listen(InitStub(channel), request_of(workspace), report)
        except GRPCError as error:
            raise BringUpError(
                f"the first node refused: {error.message or error.status.name}",
                hint="its console has the details: constellation mini console",
            ) from None


async def _listen(stub: InitStub, request: init_pb2.InitRequest, report: Callable[[str], None]) -> init_pb2.Done:
    async with stub.Init.open() as stream:
        await stream.send_message(request, end=True)
        async for event in stream:
            kind = event.WhichOneof("event")
            if kind == "done":
                return event.done
            if kind == "phase":
                report(f"{event.phase.name}: {'done' if event.phase.finished else 'begins'}")
            elif kind == "log_line":
                report(event.log_line)
    raise StreamTerminatedError("the node ended the answer before it was done")


def reachable_from_here(kubeconfig: bytes, port: int) -> bytes:
    """Give a kubeconfig for this host, which reaches the API server through a port of its own.

    Raises:
        BringUpError: it is no kubeconfig.
    """
    try:
        record = yaml.safe_load(kubeconfig)
        for cluster in record["clusters"]:
            server = urlsplit(cluster["cluster"]["server"])
            cluster["cluster"]["server"] = f"{server.scheme}://{LOOPBACK}:{port}"
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise BringUpError(f"the first node answered with no kubeconfig: {error}") from None
    return yaml.safe_dump(record, sort_keys=False).encode()
