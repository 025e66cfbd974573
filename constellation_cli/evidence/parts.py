# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The files that evidence is put together from, by kind: each is used once, and none is left over unnoticed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from attestation.errors import AttestationError
from constellation_cli.description.certificate import split_certificates
from constellation_cli.errors import CommandError
from constellation_cli.kind import Kind

if TYPE_CHECKING:
    from attestation.variant import Variant

_Parsed = TypeVar("_Parsed")


@dataclass(slots=True)
class Parts:
    """Files that were recognised.

    Attributes:
        variant: what they are to become.
        certificates: DER of every certificate in all files, in order, none twice.
    """

    variant: Variant
    certificates: list[bytes] = field(default_factory=list)
    _files: dict[Kind, tuple[str, bytes]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._files or self.certificates)

    def __contains__(self, kind: Kind) -> bool:
        """Whether there is a file of this kind."""
        return kind in self._files

    def add(self, kind: Kind, name: str, data: bytes) -> None:
        """Add a file.

        Raises:
            CommandError: there is one of this kind already, or it is broken.
        """
        if kind is Kind.CERTIFICATE:
            self.add_certificates(_parsed(name, split_certificates, data))
        elif kind in self._files:
            raise CommandError(f"{self._files[kind][0]} and {name} are both of kind {kind.slug}", hint="give only one")
        else:
            self._files[kind] = name, data

    def add_certificates(self, certificates: tuple[bytes, ...]) -> None:
        """Add certificates that are not there yet."""
        self.certificates.extend(der for der in certificates if der not in self.certificates)

    def take(self, kind: Kind) -> bytes:
        """Use a file; empty if there is none of this kind."""
        return self._files.pop(kind, ("", b""))[1]

    def need(self, kind: Kind) -> bytes:
        """Use a file that has to be there.

        Raises:
            CommandError: there is none of this kind.
        """
        return self.parse(kind, bytes)

    def parse(self, kind: Kind, parse: Callable[[bytes], _Parsed]) -> _Parsed:
        """Use a file that has to be there, and parse it.

        Raises:
            CommandError: there is none of this kind, or it is broken.
        """
        if kind not in self._files:
            raise CommandError(
                f"evidence of variant {self.variant} needs a file of kind {kind.slug}, and none is here",
                hint=f"add the {kind.title}, or give one file of evidence that has everything",
            )
        name, data = self._files.pop(kind)
        return _parsed(name, parse, data)

    def check_used(self) -> None:
        """Refuse what was added and not used.

        Raises:
            CommandError: something is left over.
        """
        for kind, (name, _) in self._files.items():
            raise CommandError(
                f"{name} is of kind {kind.slug}, which has no place in evidence of variant {self.variant}",
                hint="leave it out, or name the variant that it belongs to",
            )
        if self.certificates:
            raise CommandError(
                f"{len(self.certificates)} of the certificates have no place in evidence of variant {self.variant}",
                hint="leave them out, or name the variant that they belong to",
            )


def _parsed(name: str, parse: Callable[[bytes], _Parsed], data: bytes) -> _Parsed:
    try:
        return parse(data)
    except AttestationError as error:
        raise CommandError(f"{name}: {error}", hint=error.hint) from None
