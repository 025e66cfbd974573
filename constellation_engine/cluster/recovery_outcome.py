# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What became of control planes that were to come back: one record a node, and what they are together."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from constellation_engine.errors import RecoveryError

if TYPE_CHECKING:
    from constellation_engine.cluster.cluster_verdict import Endpoint


class Outcome(StrEnum):
    """What became of one node."""

    BACK = "back"
    ALREADY_BACK = "already back"
    REFUSED = "refused"
    """It does not take what it was given."""
    NOT_ACCEPTED = "not accepted"
    """It does not prove what it must: it was given nothing."""
    NO_ANSWER = "no answer"

    @property
    def is_back(self) -> bool:
        """Whether its disk is open."""
        return self in {Outcome.BACK, Outcome.ALREADY_BACK}


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRecovery:
    """What became of one node.

    Attributes:
        endpoint: where it was asked.
        outcome: in one word.
        reason: why, for people; empty where there is nothing to say.
        hint: what to do about it.
        kubeconfig: of the cluster; only the node that was its first has one. It holds a private key.
    """

    endpoint: Endpoint
    outcome: Outcome = Outcome.NO_ANSWER
    reason: str = ""
    hint: str = ""
    kubeconfig: bytes = field(default=b"", repr=False)

    def to_mapping(self) -> dict[str, Any]:
        """Give plain data; nothing in it is secret."""
        return {
            "node": self.endpoint.name or None,
            "address": self.endpoint.address,
            "outcome": self.outcome.value,
            "reason": self.reason or None,
            "hint": self.hint or None,
        }


@dataclass(frozen=True, slots=True)
class Recovery:
    """What became of all nodes.

    Attributes:
        nodes: in the order in which they were named.
        wanted: how many had to come back.
    """

    nodes: tuple[NodeRecovery, ...]
    wanted: int

    @property
    def back(self) -> int:
        """How many are back."""
        return sum(node.outcome.is_back for node in self.nodes)

    @property
    def is_complete(self) -> bool:
        """Whether enough are back."""
        return self.back >= self.wanted

    @property
    def kubeconfig(self) -> bytes:
        """Of the cluster; empty where no node had one. It holds a private key."""
        return next((node.kubeconfig for node in self.nodes if node.kubeconfig), b"")

    def require(self) -> Recovery:
        """Return itself if enough nodes are back.

        Raises:
            RecoveryError: they are not; says what each one said.
        """
        if self.is_complete:
            return self
        missing = [node for node in self.nodes if not node.outcome.is_back]
        said = "; ".join(f"{node.endpoint}: {node.reason or node.outcome}" for node in missing)
        hint = next((node.hint for node in missing if node.hint), "") or "repeating the command goes on where it was"
        raise RecoveryError(
            f"{self.back} of {self.wanted} control planes are back: {said or 'none was asked'}", hint=hint
        )
