# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A client of a cluster's API server, from a kubeconfig."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import httpx2
import msgspec
import yaml
from lightkube import Client, KubeConfig
from lightkube.core.exceptions import ConfigError as KubeconfigError

from constellation_core.errors import ConfigError
from constellation_engine.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FIELD_MANAGER: Final = "constellation"
PATIENCE: Final = 30.0  # seconds for each answer

_UNUSABLE: Final = (
    *(KubeconfigError, yaml.YAMLError, msgspec.MsgspecError, httpx2.InvalidURL),
    *(OSError, KeyError, TypeError, ValueError, AttributeError),  # of files, and of YAML of another shape
)


@contextmanager
def api_client(kubeconfig: Path, *, patience: float = PATIENCE) -> Iterator[Client]:
    """Open a client, and close it.

    Args:
        kubeconfig: whom to ask, and as whom.
        patience: seconds that each answer may take.

    Raises:
        ConfigError: it is no kubeconfig, or cannot be used.
        ClusterError: what answers is no API server.
    """
    try:
        client = Client(
            KubeConfig.from_file(kubeconfig),
            field_manager=FIELD_MANAGER,
            timeout=httpx2.Timeout(patience),
            trust_env=False,
        )
    except _UNUSABLE as error:
        raise ConfigError(
            f"{kubeconfig} is no kubeconfig that can be used ({type(error).__name__})",
            hint="does kubectl work with it?",
        ) from None
    with client:
        try:
            yield client
        except (msgspec.MsgspecError, KubeconfigError) as error:
            raise ClusterError(f"{kubeconfig} leads to no API server: {error}", hint="is the address right?") from error
