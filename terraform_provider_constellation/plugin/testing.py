# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A provider in the test's own process, for the real Terraform: breakpoints, coverage, and no start for each command.

with reattached(Zoo(), address="registry.terraform.io/example/zoo") as environment:
subprocess.run(["terraform", "apply"], env=os.environ | environment, ...)
"""

from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from terraform_provider_constellation.plugin.serving.listener import listening
from terraform_provider_constellation.plugin.serving.program import reattachment
from terraform_provider_constellation.plugin.serving.server import Server

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from terraform_provider_constellation.plugin.provider import Provider


@contextmanager
def reattached(provider: Provider[Any], *, address: str) -> Iterator[dict[str, str]]:
    """Serve a provider from a thread.

    Args:
        provider: the provider.
        address: what the configuration calls it.

    Yields:
        Environment variables by which Terraform and OpenTofu find it.
    """
    started: Future[asyncio.AbstractEventLoop] = Future()
    server = Server(provider)

    async def run(endpoint: socket.socket) -> None:
        await server.run(endpoint, ready=lambda: started.set_result(asyncio.get_running_loop()))

    with listening() as endpoint:
        thread = threading.Thread(target=lambda: asyncio.run(run(endpoint)))
        thread.start()
        try:
            yield {"TF_REATTACH_PROVIDERS": json.dumps(reattachment(address, endpoint.getsockname()))}
        finally:
            started.result().call_soon_threadsafe(server.stop)
            thread.join()
