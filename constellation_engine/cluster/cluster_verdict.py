# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What the verification of a cluster says: one record a node, every reason, never a truth value."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn

from constellation_core.errors import ConfigError
from constellation_core.names import VERIFICATION_NODE_PORT
from constellation_engine.errors import ClusterNotAcceptedError

if TYPE_CHECKING:
    from datetime import datetime

    from attestation.verdict import Mismatch, Verdict

CLUSTER_VERDICT_VERSION: Final = 1
COLUMNS: Final = ("node", "address", "answer", "hardware root", "identity", "reasons")

_ENDPOINT: Final = re.compile(r"(?:([^=\s]{1,253})=)?(?:\[([0-9A-Fa-f:.%a-z]+)\]|([^\[\]:=\s]{1,253}))(?::(\d{1,5}))?")
_MAX_PORT: Final = 65535


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a service of one node is: the one that verifies it, or the one that recovers it.

    Attributes:
        host: name or address.
        port: TCP port.
        name: of the node; empty where it may say so itself.
    """

    host: str
    port: int = VERIFICATION_NODE_PORT
    name: str = ""

    @classmethod
    def parse(cls, text: str, *, usual_port: int = VERIFICATION_NODE_PORT) -> Endpoint:
        """Read "HOST", "HOST:PORT", "NAME=HOST" or "NAME=HOST:PORT"; an IPv6 address stands in brackets.

        Args:
            text: what somebody wrote.
            usual_port: the port where none is said.

        Raises:
            ConfigError: it is none of these.
        """
        found = _ENDPOINT.fullmatch(text)
        if found is None or not 0 < int(found[4] or usual_port) <= _MAX_PORT:
            raise ConfigError(f"expected [NAME=]HOST[:PORT], got {text!r:.80}", hint=f"node-1=192.0.2.7:{usual_port}")
        name, in_brackets, host, port = found.groups()
        return cls(in_brackets or host, int(port or usual_port), name or "")

    @property
    def address(self) -> str:
        """Host and port."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        """Give what people call the node."""
        return self.name or self.address


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeVerdict:
    """The answer about one node. It has no truth value: ask `accepted`.

    Attributes:
        endpoint: where it was asked.
        channel: about the evidence of its attested channel; None where it came to none.
        statement: about its statement; None where it came to none, or none was asked for.
        node: its name, by its own word; empty where it made no statement.
        nonce: that its statement is bound to; empty where it made none.
        mismatches: reasons beyond those of the verdicts.
        failure: why it did not come to a verdict; empty where it did.
        hint: what to do about the failure.
        seconds: how long it took.
    """

    endpoint: Endpoint
    channel: Verdict | None = None
    statement: Verdict | None = None
    node: str = ""
    nonce: bytes = b""
    mismatches: tuple[Mismatch, ...] = ()
    failure: str = ""
    hint: str = ""
    seconds: float = 0.0

    def __bool__(self) -> NoReturn:
        """Refuse `if node:`."""
        message = "the verdict about a node is not a truth value: use accepted"
        raise TypeError(message)

    @property
    def name(self) -> str:
        """What the node is called: as it was asked for, else by its own word."""
        return self.endpoint.name or self.node

    @property
    def verdict(self) -> Verdict | None:
        """The verdict that says most: about the statement, else about the channel."""
        return self.statement if self.statement is not None else self.channel

    @property
    def accepted(self) -> bool:
        """Whether it answered, and everything that it said is accepted."""
        said = [verdict for verdict in (self.channel, self.statement) if verdict is not None]
        nothing_against_it = not self.failure and not self.mismatches
        return self.channel is not None and all(verdict.accepted for verdict in said) and nothing_against_it

    @property
    def reasons(self) -> tuple[Mismatch, ...]:
        """Every reason to refuse, each once."""
        judged = self.verdict.mismatches if self.verdict is not None else ()
        return tuple(dict.fromkeys((*judged, *self.mismatches)))

    def to_mapping(self) -> dict[str, Any]:
        """Give plain data for JSON."""
        return {
            "node": self.name or None,
            "host": self.endpoint.host,
            "port": self.endpoint.port,
            "accepted": self.accepted,
            "failure": self.failure or None,
            "hint": self.hint or None,
            "mismatches": [_reason(mismatch) for mismatch in self.reasons],
            "channel": self.channel.to_mapping() if self.channel is not None else None,
            "statement": self.statement.to_mapping() if self.statement is not None else None,
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterVerdict:
    """The answer about a cluster. It has no truth value: ask `accepted`, or call `require`.

    Attributes:
        at: when it was asked for, aware UTC.
        cluster_id: the cluster that the nodes had to belong to; None for any.
        nodes: one record for each that was asked, in that order.
        mismatches: reasons that are not about one node.
        warnings: what is accepted and should be known.
    """

    at: datetime
    cluster_id: bytes | None
    nodes: tuple[NodeVerdict, ...]
    mismatches: tuple[Mismatch, ...] = ()
    warnings: tuple[str, ...] = ()

    def __bool__(self) -> NoReturn:
        """Refuse `if verdict:`."""
        message = "the verdict about a cluster is not a truth value: use accepted or require()"
        raise TypeError(message)

    @property
    def accepted(self) -> bool:
        """Whether there is a node, and all are accepted, and together they are a cluster."""
        return bool(self.nodes) and all(node.accepted for node in self.nodes) and not self.mismatches

    @property
    def summary(self) -> str:
        """One sentence for people."""
        good = sum(node.accepted for node in self.nodes)
        answer = "accepted" if self.accepted else "NOT ACCEPTED"
        return f"{answer}: {good} of {len(self.nodes)} nodes proved what they must"

    def require(self) -> ClusterVerdict:
        """Return itself if accepted.

        Raises:
            ClusterNotAcceptedError: it is not; the error carries this verdict.
        """
        if not self.accepted:
            raise ClusterNotAcceptedError(self)
        return self

    def rows(self) -> tuple[tuple[str, ...], ...]:
        """Give the table for people, one row a node, with the columns of `COLUMNS`."""
        return tuple(_row(node) for node in self.nodes)

    def to_mapping(self) -> dict[str, Any]:
        """Give the record that is printed as JSON: stable keys, versioned, bytes as hex."""
        return {
            "version": CLUSTER_VERDICT_VERSION,
            "accepted": self.accepted,
            "cluster_id": self.cluster_id.hex() if self.cluster_id is not None else None,
            "at": self.at.isoformat(),
            "nodes": [node.to_mapping() for node in self.nodes],
            "mismatches": [_reason(mismatch) for mismatch in self.mismatches],
            "warnings": list(self.warnings),
        }


def _row(node: NodeVerdict) -> tuple[str, ...]:
    verdict = node.verdict
    identity = verdict.identity.hex()[:16] if verdict is not None and verdict.identity is not None else ""
    root = verdict.evidence.variant.hardware_root.value if verdict is not None else ""
    reasons = "; ".join((*([node.failure] if node.failure else []), *map(str, node.reasons)))
    answer = "accepted" if node.accepted else "NOT ACCEPTED" if verdict is not None else "NO ANSWER"
    return node.name, node.endpoint.address, answer, root, identity, reasons


def _reason(mismatch: Mismatch) -> dict[str, str]:
    return {"name": mismatch.name, "expected": mismatch.expected, "got": mismatch.got, "hint": mismatch.hint}
