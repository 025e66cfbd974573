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
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from terraform_provider_constellation.plugin.serving.listener import listening
from terraform_provider_constellation.plugin.serving.program import reattachment
from terraform_provider_constellation.plugin.serving.server import Server

if TYPE_CHECKING:
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
    with listening() as endpoint, asyncio.Runner() as runner:
        loop = runner.get_loop()
        server = Server(provider)
        thread = threading.Thread(target=runner.run, args=[server.run(endpoint)])
        thread.start()
        try:
            yield {"TF_REATTACH_PROVIDERS": json.dumps(reattachment(address, endpoint.getsockname()))}
        finally:
            loop.call_soon_threadsafe(server.stop)
            thread.join()
