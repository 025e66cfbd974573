# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Words of the command line that the commands about nodes share, and the records that they write."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import typer

from constellation_cli.times import show_time

if TYPE_CHECKING:
    from constellation_engine.cluster.nodes import JoinRequest, NodeRecord

VERSION: Final = 1
"""Of the records that these commands write."""

SHORTEST_IDENTITY: Final = 16  # digits: whoever makes TPMs of software by the billion finds one with the same eight

REQUEST_COLUMNS: Final = ("node", "role", "variant", "identity", "disk", "decision", "phase", "asked at")

_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_LONGEST_NAME: Final = 63  # characters: it stands in labels
_IDENTITY: Final = re.compile(rf"[0-9a-f]{{{SHORTEST_IDENTITY},64}}")


def parse_name(text: str) -> str:
    """Read the name of a node."""
    if len(text) > _LONGEST_NAME or not _NAME.fullmatch(text):
        raise typer.BadParameter(f"expected the name of a node, as worker-1 or worker-1.example, got {text!r:.80}")
    return text


def parse_identity(text: str) -> str:
    """Read an identity, or enough of it."""
    digits = text.lower()
    if not _IDENTITY.fullmatch(digits):
        raise typer.BadParameter(
            f"expected {SHORTEST_IDENTITY} to 64 hexadecimal digits, got {len(text)} characters: {text!r:.80}"
        )
    return digits


NodeName: TypeAlias = Annotated[str, typer.Argument(metavar="NAME", parser=parse_name, help="Name of the node.")]
Identity: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--identity",
        metavar="HEX",
        parser=parse_identity,
        help=f"The machine that is meant, by its first {SHORTEST_IDENTITY} digits or more; then nobody is asked.",
    ),
]


def describe_request(request: JoinRequest) -> dict[str, Any]:
    """Give a request as plain data."""
    return request.to_mapping() | {"requested_at": show_time(request.requested_at)}


def request_row(request: JoinRequest) -> tuple[str, ...]:
    """Give a request as a row below `REQUEST_COLUMNS`."""
    return tuple(value or "none" for value in describe_request(request).values())


def describe_node(node: NodeRecord) -> dict[str, Any]:
    """Give a node as plain data."""
    identity = node.identity
    return {
        "name": identity.name,
        "role": identity.role.value,
        "variant": identity.variant,
        "identity": identity.identity,
        "identity_kind": identity.identity_kind,
        "disk": identity.disk,
        "mesh_address": identity.mesh_address,
        "wireguard_public_key": base64.b64encode(identity.wireguard_public_key).decode("ascii"),
        "host_key": identity.host_key,
        "addresses": list(identity.addresses),
        "tickets": node.tickets,
        "last_ticket": show_time(node.last_ticket),
    }
