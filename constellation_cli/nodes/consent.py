# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A person agrees, or nothing happens: they name the machine that they mean, answer at a terminal, or say `--yes`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import typer

from constellation_cli.errors import CommandError, UsageError
from constellation_cli.terminal import printable

Yes: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; whichever machine it is.")]


@dataclass(frozen=True, slots=True)
class Consent:
    """What the command line says of a person's consent.

    Attributes:
        identity: of the machine that is meant, in hexadecimal, or the first digits of it; None where it is not said.
        yes: whether they agree to whatever is there.
    """

    identity: str | None
    yes: bool

    def require(self, question: str, identity: str) -> None:
        """Come back if a person agrees.

        Args:
            question: without a question mark.
            identity: of the machine that it is about; empty where nothing says which it is.

        Raises:
            ConflictError: another machine was meant.
            UsageError: nobody agreed, and nobody can be asked.
            CommandError: the answer is no.
        """
        from constellation_engine.errors import ConflictError

        if self.identity is not None and not identity.startswith(self.identity):
            raise ConflictError(
                f"expected the machine {self.identity}, got {identity or 'nothing that says which it is'}",
                hint="this is not the machine that you mean: find out whose it is before you decide",
            )
        if self.identity is None and not self.yes:
            _ask(question, instead=f"--identity {identity}" if identity else "--yes")


def _ask(question: str, *, instead: str) -> None:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError("nobody is at a terminal who could be asked", hint=f"look at the above, then add {instead}")
    sys.stderr.write(f"{printable(question)}? [yes/no] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise CommandError("the answer was not yes: nothing was changed")
