# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Loading rules into the kernel with `nft`, and seeing whether they are still there."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from node_agent.errors import LateProgramError, PermanentError, ProgramError, TemporaryError
from node_agent.network.firewall import TRANSLATED, rules
from node_agent.network.names import TABLE
from node_agent.programs import run

if TYPE_CHECKING:
    from node_agent.network.firewall import Firewall

TIMEOUT: Final = 60.0  # seconds for one call; in an emulated machine the first takes some

_LOG: Final = logging.getLogger(__name__)


class Rules:
    """The rules of this node in the kernel. They stay there when this program ends."""

    def __init__(self) -> None:
        self._wanted = ""
        self._shown = ""

    async def load(self, firewall: Firewall) -> None:
        """Replace the rules in one transaction: at every moment the old ones hold, or the new ones.

        Raises:
            PermanentError: the kernel does not take them.
            TemporaryError: `nft` did not end in time.
        """
        self._wanted = rules(firewall)
        await self._load()

    async def repair(self) -> None:
        """Load them again where somebody changed them.

        Raises:
            PermanentError: the kernel does not take them.
            TemporaryError: `nft` did not end in time.
        """
        if self._wanted and await _show() != self._shown:
            _LOG.error("somebody changed the nftables table %s: it is put right", TABLE)
            await self._load()

    async def _load(self) -> None:
        await _nft("-f", "-", text=self._wanted)
        self._shown = await _show()


async def knows_pods() -> bool:
    """Tell whether the rules in the kernel are those of a node with pods: this program may have started again."""
    return f"chain {TRANSLATED} {{" in await _show()


async def _show() -> str:
    try:
        return await _nft("--stateless", "list", "table", "inet", TABLE)
    except PermanentError:  # there is none
        return ""


async def _nft(*arguments: str, text: str = "") -> str:
    try:
        return await run(("nft", *arguments), time_limit=TIMEOUT, stdin=text.encode())
    except LateProgramError as error:
        raise TemporaryError(str(error)) from None
    except ProgramError as error:
        error.hint = "does the kernel of this image have nf_tables, with sets, NAT and conntrack?"
        raise
