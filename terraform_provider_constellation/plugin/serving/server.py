# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The gRPC server: Terraform's calls, go-plugin's calls, and the end.

What Terraform has asked for is done to its end, even if the connection breaks: half a create is worse than a whole one
that nobody waits for. When Terraform itself is gone (kill -9) what is under way is asked to stop, gets some time, and
then the process ends: nothing lingers.
"""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from google.protobuf import empty_pb2
from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError
from grpclib.server import Server as GrpcServer

from terraform_provider_constellation.plugin.service.provider import ProviderCalls
from terraform_provider_constellation.plugin.wire import goplugin_pb2, tfplugin6_pb2

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable, Coroutine

    from google.protobuf.descriptor import MethodDescriptor
    from grpclib.protocol import H2Protocol
    from grpclib.server import Stream

    from terraform_provider_constellation.plugin.provider import Provider

    AnyStream = Stream[Any, Any]

GRACE: Final = 30.0  # seconds for what is under way, when Terraform is gone
_PROVIDER: Final = tfplugin6_pb2.DESCRIPTOR.services_by_name["Provider"]


class _GrpcServer(GrpcServer):
    """grpclib's server, whose connections end with it: its own go on for as long as the loop does."""

    def __init__(self, handlers: list[Any]) -> None:
        super().__init__(handlers)
        self._protocols: WeakSet[H2Protocol] = WeakSet()

    def _protocol_factory(self) -> H2Protocol:
        protocol = super()._protocol_factory()
        self._protocols.add(protocol)
        return protocol

    def end_connections(self) -> None:
        """Close them; what was written to them is still sent."""
        for protocol in self._protocols:
            if hasattr(protocol, "processor"):  # there is one once the connection is made
                protocol.processor.close()


class Server:
    """Serves one provider on one socket.

    Args:
        provider: the provider.
        context: TLS; None for none, where the folder of the socket is the only guard.

    Raises:
        SchemaError: Terraform would refuse a schema of the provider.
    """

    def __init__(self, provider: Provider[Any], *, context: ssl.SSLContext | None = None) -> None:
        self._calls = ProviderCalls(provider)
        self._context = context
        self._done = asyncio.Event()
        self._under_way: set[asyncio.Task[Any]] = set()

    async def run(self, endpoint: socket.socket, *, ready: Callable[[], None] = lambda: None) -> None:
        """Serve until `stop`.

        Args:
            endpoint: the socket.
            ready: is called when clients may come.
        """
        server = _GrpcServer([self])
        await server.start(sock=endpoint, ssl=self._context)
        try:
            ready()
            await self._done.wait()
        finally:
            server.close()
            server.end_connections()
            await server.wait_closed()

    def run_as_child(self, endpoint: socket.socket, parent: int) -> None:
        """Serve until `stop`, SIGTERM, or the end of the parent.

        Args:
            endpoint: the socket.
            parent: id of the process that started this one.
        """

        async def run() -> None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.stop)
            self._watch(parent)
            await self.run(endpoint)

        asyncio.run(run())

    def stop(self) -> None:
        """Serve no longer."""
        self._done.set()

    def _watch(self, process: int) -> None:
        """Stop when a process is gone."""
        try:
            descriptor = os.pidfd_open(process)
        except ProcessLookupError:  # it is gone already
            self._orphaned()
            return
        asyncio.get_running_loop().add_reader(descriptor, self._parent_ended, descriptor)

    def _parent_ended(self, descriptor: int) -> None:
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)
        self._orphaned()

    def _orphaned(self) -> None:
        self._calls.stopping.set()
        self._start(self._end())

    async def _end(self) -> None:
        """Give what is under way some time, then stop."""
        under_way = self._under_way - {asyncio.current_task()}
        if under_way:
            await asyncio.wait(under_way, timeout=GRACE)
        self.stop()

    def _start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """A task that goes on if whoever waits for it does not."""
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task

    def __mapping__(self) -> dict[str, Handler]:
        """The calls that we serve, as grpclib wants to know them."""
        empty = goplugin_pb2.Empty
        return {
            "/plugin.GRPCController/Shutdown": Handler(self._shutdown, Cardinality.UNARY_UNARY, empty, empty),
            "/plugin.GRPCStdio/StreamStdio": Handler(
                self._stdio, Cardinality.UNARY_STREAM, empty_pb2.Empty, goplugin_pb2.StdioData
            ),
        } | {f"/{_PROVIDER.full_name}/{method.name}": self._handler(method) for method in _PROVIDER.methods}

    def _handler(self, method: MethodDescriptor) -> Handler:
        request, response = _message(method.input_type.full_name), _message(method.output_type.full_name)
        if not self._calls.knows(method.name):
            return Handler(_unimplemented, Cardinality.STREAM_STREAM, request, response)
        if method.server_streaming:
            return Handler(self._streamed, Cardinality.UNARY_STREAM, request, response)

        async def answered(stream: AnyStream) -> None:
            answer = self._start(self._calls.answer(method.name, await stream.recv_message()))
            await stream.send_message(await asyncio.shield(answer))

        return Handler(answered, Cardinality.UNARY_UNARY, request, response)

    async def _streamed(self, stream: AnyStream) -> None:
        request: Any = await stream.recv_message()
        async for event in self._calls.list_resource(request):
            await stream.send_message(event)

    async def _shutdown(self, stream: AnyStream) -> None:
        await stream.recv_message()
        await stream.send_message(goplugin_pb2.Empty())
        asyncio.get_running_loop().call_soon(self.stop)

    async def _stdio(self, stream: AnyStream) -> None:
        """Nothing comes here: standard output is the log."""
        await stream.recv_message()
        await self._done.wait()


async def _unimplemented(_stream: AnyStream) -> None:
    """Actions and state stores. To calls that it does not know grpclib says the same, but not as gRPC wants it."""
    raise GRPCError(Status.UNIMPLEMENTED)


def _message(full_name: str) -> Any:  # noqa: ANN401 - a class of messages
    """The class of a message: `tfplugin6.ReadResource.Request`."""
    found: Any = tfplugin6_pb2
    for name in full_name.split(".")[1:]:
        found = getattr(found, name)
    return found
