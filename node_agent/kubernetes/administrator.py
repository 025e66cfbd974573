# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The administrator whom `kubeadm init` made: the first node speaks as this one until its cluster has its objects."""

from __future__ import annotations

import base64
import binascii
import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from node_agent.errors import TemporaryError
from node_agent.https import client_tls, connect
from node_agent.kubernetes.paths import ADMIN
from node_agent.network.api_server import WHO, read_address

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

    from node_agent.https import Connection


@asynccontextmanager
async def administrator(kubeconfig: Path = ADMIN) -> AsyncIterator[Connection]:
    """Connect to the API server.

    Args:
        kubeconfig: with certificate and key in itself, as kubeadm writes it.

    Raises:
        TemporaryError: it is not there, or no such kubeconfig, or nobody answers.
    """
    address = read_address(kubeconfig)
    async with connect(address.host, address.port, tls=_tls(kubeconfig, address.authority), who=WHO) as connection:
        yield connection


def _tls(kubeconfig: Path, authority: str) -> ssl.SSLContext:
    """Read the certificate. TLS takes files alone: this one has no name, and is in memory."""
    descriptor = os.memfd_create("administrator", os.MFD_CLOEXEC)
    try:
        user = yaml.safe_load(kubeconfig.read_bytes())["users"][0]["user"]
        for part in ("client-certificate-data", "client-key-data"):
            os.write(descriptor, base64.b64decode(user[part], validate=True))
        return client_tls(authority, Path(f"/proc/self/fd/{descriptor}"))
    except (OSError, KeyError, IndexError, TypeError, binascii.Error) as error:
        raise TemporaryError(
            f"{kubeconfig}: expected certificate and key of an administrator, got none: {error!r}"
        ) from None
    finally:
        os.close(descriptor)
