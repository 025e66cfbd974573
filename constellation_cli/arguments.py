# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Words of the command line that several commands read: digests, times, the cluster."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, TypeAlias

import typer

from attestation.case import BINDING_SIZE, Mark
from attestation.variant import Variant
from constellation_cli.errors import UsageError
from constellation_core.statements import statement_binding


class MarkChoice(StrEnum):
    """What the register of the cluster mark must hold."""

    NONE = "none"
    ANY = "any"


def _hexadecimal(size: int, text: str) -> bytes:
    if not re.fullmatch(rf"[0-9a-fA-F]{{{2 * size}}}", text):
        raise typer.BadParameter(f"expected {2 * size} hexadecimal digits, got {len(text)} characters")
    return bytes.fromhex(text)


def parse_binding(text: str) -> bytes:
    """Read 32 bytes in hexadecimal."""
    return _hexadecimal(BINDING_SIZE, text)


def parse_time(text: str) -> datetime:
    """Read a time with its zone (ISO 8601)."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a time such as 2026-01-31T12:00:00Z") from None
    if time.tzinfo is None:
        raise typer.BadParameter(f"{text!r} names no zone; append Z for UTC")
    return time.astimezone(UTC)


Binding: TypeAlias = Annotated[
    bytes | None,
    typer.Option(
        parser=parse_binding,
        metavar="HEX",
        help="The 32 bytes that the evidence must sign.",
    ),
]
Nonce: TypeAlias = Annotated[
    bytes | None,
    typer.Option(
        parser=parse_binding,
        metavar="HEX",
        help="Nonce of a statement, 32 bytes; with --cluster-id it stands for the binding.",
    ),
]
ClusterId: TypeAlias = Annotated[
    bytes | None,
    typer.Option(parser=parse_binding, metavar="HEX", help="The cluster that the node must belong to, 32 bytes."),
]
Time: TypeAlias = Annotated[
    datetime | None,
    typer.Option(parser=parse_time, metavar="TIME", help="Judge as of this time (ISO 8601 with zone); default: now."),
]
VariantOption: TypeAlias = Annotated[
    Variant | None, typer.Option("--variant", metavar="VARIANT", help="The platform; default: what the policy says.")
]


def choose_binding(binding: bytes | None, nonce: bytes | None, cluster_id: bytes | None) -> bytes | None:
    """Give what evidence must sign: the binding itself, or that of a statement about a cluster.

    Raises:
        UsageError: both are given, or a nonce without a cluster.
    """
    if nonce is None:
        return binding
    if binding is not None:
        raise UsageError("--binding and --nonce exclude each other")
    if cluster_id is None:
        raise UsageError("--nonce needs --cluster-id: a statement is bound to both")
    return statement_binding(nonce, cluster_id)


def choose_mark(mark: MarkChoice | None, cluster_id: bytes | None) -> Mark | bytes:
    """Give what the cluster mark must be.

    Raises:
        UsageError: both are given.
    """
    if cluster_id is None:
        return Mark.ANY if mark is MarkChoice.ANY else Mark.UNMARKED
    if mark is not None:
        raise UsageError("--mark and --cluster-id exclude each other: the cluster ID is the mark")
    return cluster_id
