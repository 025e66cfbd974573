# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Reading a `join-config`: from a file, or from the cluster, which may have none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from constellation_cli.errors import CommandError
from constellation_cli.files import display_name, read_file

if TYPE_CHECKING:
    from pathlib import Path

    from lightkube import Client

    from constellation_engine.cluster.join_config import StoredJoinConfig


def read_text(path: Path) -> str:
    """Read a file as text, whatever it says.

    Raises:
        CommandError: it cannot be read, is empty, too large, or no text.
    """
    from constellation_core.join_config import MAX_SIZE

    try:
        return read_file(path, limit=MAX_SIZE).decode("utf-8")
    except UnicodeDecodeError as error:
        raise CommandError(f"{display_name(path)} is no UTF-8: {error.reason} at byte {error.start}") from None


def stored(client: Client) -> StoredJoinConfig:
    """Read what the cluster has now; without text and version where it has none.

    Raises:
        ClusterError: the API server refuses, or does not answer.
    """
    from constellation_engine.cluster.join_config import StoredJoinConfig, show
    from constellation_engine.errors import ObjectNotFoundError

    try:
        return show(client)
    except ObjectNotFoundError:
        return StoredJoinConfig("", "")
