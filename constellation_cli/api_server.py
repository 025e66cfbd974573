# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The cluster's API server, as commands ask it: with the administrator's kubeconfig, and not for ever."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

import typer

from constellation_cli.errors import CommandError
from constellation_cli.progress import time_limit, waiting_for
from constellation_cli.terminal import say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lightkube import Client
    from lightkube.config.kubeconfig import SingleConfig

DEFAULT_TIMEOUT: Final = 30  # seconds

Kubeconfig: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--kubeconfig",
        metavar="FILE",
        help="Which cluster, and as whom; default: $KUBECONFIG, then ~/.kube/config.",
    ),
]
Timeout: TypeAlias = Annotated[
    int, typer.Option("--timeout", min=1, max=3600, metavar="SECONDS", help="Wait so long for the API server.")
]


@dataclass(frozen=True, slots=True)
class ApiServer:
    """The API server of one cluster.

    Attributes:
        client: asks it.
        url: where it is.
        timeout: seconds that each wait may take.
    """

    client: Client
    url: str
    timeout: int

    @contextmanager
    def answering(self) -> Iterator[Client]:
        """Ask it something, and wait for its answers. People are asked outside of this: they may take their time.

        Raises:
            CommandError: the time is over, the user's credentials cannot be had, or it is no API server.
        """
        import msgspec
        from lightkube.core.exceptions import ConfigError

        name = f"the API server at {self.url}"
        try:
            with waiting_for(name), time_limit(self.timeout, name):
                yield self.client
        except ConfigError as error:
            raise CommandError(f"no credentials for {name}: {error}", hint="does kubectl work with it?") from error
        except (msgspec.MsgspecError, KeyError, ValueError) as error:
            raise CommandError(
                f"{name} does not answer as one: {error}", hint="is the address in the kubeconfig right?"
            ) from error


@contextmanager
def api_server(kubeconfig: Path | None, timeout: int) -> Iterator[ApiServer]:
    """Get ready to ask the API server; nothing is sent yet.

    Args:
        kubeconfig: the file that the command line names, if it does.
        timeout: seconds that each wait may take.

    Raises:
        CommandError: there is no kubeconfig, or it cannot be used.
    """
    from constellation_cli.kubeconfig import read_kubeconfig

    config = read_kubeconfig(kubeconfig)
    with _client(config) as client:
        yield ApiServer(client, config.cluster.server, timeout)


def _client(config: SingleConfig) -> Client:
    import httpx2
    from lightkube import Client
    from lightkube.core.exceptions import ConfigError

    if config.cluster.insecure or not config.cluster.server.startswith("https://"):
        say("warning", f"nothing shows that {config.cluster.server} is the cluster's API server", colour="yellow")
    try:
        # time_limit ends what takes too long, whichever part of it does.
        return Client(config, timeout=httpx2.Timeout(None))
    except (ConfigError, OSError, ValueError, TypeError, httpx2.InvalidURL) as error:
        raise CommandError(
            f"context {config.context_name} of the kubeconfig cannot be used: {error}",
            hint="does kubectl work with it?",
        ) from error
