# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A key service beside a real API server, and tokens as a kubelet projects them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from constellation_core.names import KEY_SERVICE_AUDIENCE
from constellation_services.testing.key_service import RunningKeyService, running_key_service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from lightkube import AsyncClient

    from constellation_engine.testing.control_plane import ControlPlane

Tokens = Callable[[str], str]


@pytest.fixture
async def api(control_plane: ControlPlane) -> AsyncIterator[AsyncClient]:
    """A client of the API server that may do everything."""
    async with control_plane.async_client() as client:
        yield client


@pytest.fixture
async def service(api: AsyncClient, control_plane: ControlPlane, tmp_path: Path) -> AsyncIterator[RunningKeyService]:
    """A running key service."""
    async with running_key_service(api, control_plane.pki, tmp_path) as running:
        yield running


@pytest.fixture
def token_of(control_plane: ControlPlane) -> Tokens:
    """Tokens for the key service, of a pod `<account>-0` on node-0."""

    def issue(account: str) -> str:
        return control_plane.token(account, KEY_SERVICE_AUDIENCE, pod=f"{account}-0", node="node-0", seconds=600)

    return issue
