# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A key service in the process of a test, on loopback: the real one, with a master secret that the test knows.

async with running_key_service(api_client, pki, folder) as service:
    async with service.client(token) as keys:
        key = await keys.data_key("measurement-secret", 32)
"""

from __future__ import annotations

import io
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from constellation_core.keys.client import KeyServiceClient
from constellation_core.keys.cluster import ClusterKeyProvider
from constellation_core.keys.derivation import derive
from constellation_core.keys.secret import Secret
from constellation_services.keys.audit import Audit
from constellation_services.keys.service import Listening, Settings, serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from lightkube import AsyncClient

    from constellation_core.keys.provider import KeyProvider

MASTER: Final = Secret(bytes(range(32)))
SALT: Final = bytes(range(32, 64))
HOST: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class RunningKeyService:
    """A key service that runs.

    Attributes:
        listening: its ports.
        pki: folder of the authority that certifies it.
        folder: for files of tests.
        written: what its audit holds.
    """

    listening: Listening
    pki: Path
    folder: Path
    written: io.StringIO

    def client(self, token: str, timeout: float = 5.0) -> KeyServiceClient:
        """Make a client that shows a token, and gives up after some seconds."""
        token_file = self.folder / f"token-{uuid4()}"
        token_file.write_text(token)
        return KeyServiceClient(HOST, self.listening.port, self.pki / "ca.crt", token_file, timeout=timeout)

    async def key(self, token: str, key_id: str, length: int = 32) -> Secret:
        """Ask for a key, showing a token."""
        async with self.client(token) as keys:
            return await keys.data_key(key_id, length)

    @property
    def audit(self) -> list[dict[str, Any]]:
        """Every line of the audit."""
        return [json.loads(line) for line in self.written.getvalue().splitlines()]


def expected_key(key_id: str, length: int = 32) -> Secret:
    """Derive what the service is to give."""
    return derive(MASTER, SALT, key_id, length)


@asynccontextmanager
async def running_key_service(
    client: AsyncClient,
    pki: Path,
    folder: Path,
    *,
    provider: KeyProvider | None = None,
    settings: Settings | None = None,
    port: int = 0,
) -> AsyncIterator[RunningKeyService]:
    """Run a key service for as long as the block runs.

    Args:
        client: may create TokenReviews.
        pki: folder of the cluster's authority.
        folder: for files of tests.
        provider: where keys come from; `cluster://` by default.
        settings: other than the default ones; host, ports and `pki` are set here.
        port: to listen on; 0 for any that is free.
    """
    settings = replace(settings or Settings(), host=HOST, port=port, status_port=0, pki=pki)
    written = io.StringIO()
    async with serve(settings, client, provider or ClusterKeyProvider(MASTER, SALT), Audit(written)) as listening:
        yield RunningKeyService(listening, pki, folder, written)
