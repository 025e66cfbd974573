# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The API server, as the kubelet reaches it: with its kubeconfig and its own client certificate.

    async with ApiServer(kubeconfig, certificate).connection() as connection:
        listing = await connection.get("/api/v1/nodes?limit=100")

https://kubernetes.io/docs/reference/using-api/api-concepts/
"""

from __future__ import annotations

import base64
import binascii
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import yaml

from node_agent.errors import TemporaryError
from node_agent.https import client_tls, connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from node_agent.https import Connection

WHO: Final = "API server"
HINT: Final = "may the group system:nodes read it?"


@dataclass(frozen=True, slots=True)
class Address:
    """Where an API server is, and who vouches for it.

    Attributes:
        host: name or address.
        port: TCP port.
        authority: certificates, PEM.
    """

    host: str
    port: int
    authority: str


class ApiServer:
    """Where to read, and as whom. Files are read anew at every connection.

    Args:
        kubeconfig: of the kubelet; address of the API server, and the authority of its certificate.
        certificate: of the kubelet, with its key.
    """

    def __init__(self, kubeconfig: Path, certificate: Path) -> None:
        self._kubeconfig = kubeconfig
        self._certificate = certificate

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Connect.

        Raises:
            TemporaryError: files are missing or broken, or nobody answers who is vouched for.
        """
        try:
            address = read_address(self._kubeconfig)
            tls = client_tls(address.authority, self._certificate)
        except OSError as error:
            raise TemporaryError(f"{WHO}: cannot read what to show it: {error}") from None
        async with connect(address.host, address.port, tls=tls, who=WHO, hint=HINT) as connection:
            yield connection


def read_address(kubeconfig: Path) -> Address:
    """Read where the API server is.

    Raises:
        TemporaryError: the file is not there, yet, or it is no kubeconfig.
    """
    try:
        record = yaml.safe_load(kubeconfig.read_text())
        cluster = record["clusters"][0]["cluster"]
        url = urlsplit(cluster["server"])
        authority = _authority(cluster)
        port = url.port or 443
    except OSError as error:
        raise TemporaryError(f"cannot read {error.filename}: {error.strerror}") from None
    except (yaml.YAMLError, KeyError, IndexError, TypeError, AttributeError, ValueError, binascii.Error):
        raise TemporaryError(f"{kubeconfig}: expected a kubeconfig with a cluster, got something else") from None
    if url.scheme != "https" or not url.hostname:
        raise TemporaryError(f"{kubeconfig}: expected an https server, got {cluster['server']!r:.200}")
    return Address(url.hostname, port, authority)


def _authority(cluster: dict[str, str]) -> str:
    if "certificate-authority" in cluster:
        return Path(cluster["certificate-authority"]).read_text()
    return base64.b64decode(cluster["certificate-authority-data"], validate=True).decode()
