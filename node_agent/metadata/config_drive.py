# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Metadata of local machines: the file `metadata.json` on a read-only drive with the label `CONSTELLATION`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from attestation.errors import MalformedError
from node_agent.errors import AgentError, TemporaryError
from node_agent.media import opened, read_file
from node_agent.metadata.record import MAX_SIZE, Metadata

if TYPE_CHECKING:
    from pathlib import Path

FILE_NAME: Final = "metadata.json"
HINT: Final = "attach a drive with the label CONSTELLATION that holds metadata.json"


class ConfigDrive:
    """The drive.

    Args:
        source: folder or block device; see `node_agent.media`.
    """

    def __init__(self, source: Path) -> None:
        self._source = source

    async def read(self) -> Metadata:
        """Read the file, as `MetadataSource` says."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> Metadata:
        try:
            with opened(self._source) as medium:
                data = read_file(medium / FILE_NAME, max_size=MAX_SIZE)
            return Metadata.from_json(data)
        except FileNotFoundError:
            raise TemporaryError(f"the config drive has no {FILE_NAME}", hint=HINT) from None
        except MalformedError as error:
            raise TemporaryError(str(error), hint=error.hint or "write the drive anew") from None
        except AgentError as error:
            raise TemporaryError(f"config drive: {error}", hint=error.hint or HINT) from None
