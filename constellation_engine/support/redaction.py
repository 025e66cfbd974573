# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Take secrets out of text that others will read.

What must not get out is not collected in the first place; this is for what programs wrote where nobody expected it.
Known secrets are found in every spelling, others by their shape:

| what | shape |
|---|---|
| private keys | PEM (RFC 7468), whole, cut off at either end, or in base64 as kubeconfigs have it |
| bearer tokens | after the word "Bearer" (RFC 6750, section 2.1) |
| service-account tokens | JWS in compact form (RFC 7515, section 3.1) |
| bootstrap tokens | six characters, a dot, sixteen characters |
| password hashes | bcrypt |
| anything else | a value of 32 bytes or more, hexadecimal or base64, whose name says that it is secret |

It takes away too much rather than too little.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from constellation_core.keys.secret import Secret

REMOVED: Final = "<removed>"
SHORTEST_KNOWN: Final = 8  # bytes: shorter ones would be found everywhere

_KIND: Final = r"[A-Z0-9 ]{0,40}PRIVATE KEY-----"
_ENCODED_PEM: Final = re.compile(r"LS0tLS1CRUdJTi[A-Za-z0-9+/]{16,}={0,2}")  # base64 of "-----BEGIN"
_NAMED: Final = re.compile(
    r"""
    (?P<name>(?:secret|passw|passphrase|token|private|key|psk|credential)[\w.-]{0,64})
    (?P<between>\\?["']?\s{0,8}[:=]\s{0,8}[bB]?\\?["']?)
    (?P<value>[0-9a-fA-F]{64,}|[A-Za-z0-9+/_-]{42,}={0,2})
    """,
    re.VERBOSE | re.IGNORECASE,
)
_PASSWORD: Final = re.compile(
    r"""(?P<before>(?:password|passphrase)["']?\s{0,8}[:=]\s{0,8}["']?)(?P<value>[^\s"',}]{1,256})""", re.IGNORECASE
)
_OPEN: Final = re.compile(r"public|sha256|digest", re.IGNORECASE)  # in names of what everybody may know
_LONGEST_NAME: Final = 32  # characters before the word that makes a name secret
_SHAPES: Final = (
    re.compile(rf"-----BEGIN {_KIND}.*?(?:-----END {_KIND}|\Z)", re.DOTALL),
    re.compile(rf"\A(?:(?!-----BEGIN ).)*?-----END {_KIND}", re.DOTALL),
    re.compile(r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),
    re.compile(r"(?<![A-Za-z0-9.])[a-z0-9]{6}\.[a-z0-9]{16}(?![A-Za-z0-9])"),
    re.compile(r"\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53}"),
)
_BEARER: Final = re.compile(r"(?P<before>\bbearer\s{1,8})[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)


class Redactor:
    """Takes secrets out of text.

    Args:
        known: secrets that are known; they are found wherever they stand.
    """

    def __init__(self, known: Iterable[Secret] = ()) -> None:
        spellings = {spelling for secret in known for spelling in _spellings(secret.reveal())}
        longest_first = sorted(spellings, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def __repr__(self) -> str:
        """Show nothing of what is known."""
        return "Redactor()"

    def redact(self, text: str) -> str:
        """Give the text without secrets."""
        if self._known is not None:
            text = self._known.sub(REMOVED, text)
        for shape in _SHAPES:
            text = shape.sub(REMOVED, text)
        text = _ENCODED_PEM.sub(_without_private_key, text)
        text = _BEARER.sub(rf"\g<before>{REMOVED}", text)
        text = _PASSWORD.sub(rf"\g<before>{REMOVED}", text)
        return _NAMED.sub(_without_value, text)


def _spellings(secret: bytes) -> Iterator[str]:
    """Give how programs would write a secret."""
    if len(secret) < SHORTEST_KNOWN:
        return
    yield secret.hex()
    yield secret.hex().upper()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(secret).decode("ascii").rstrip("=")
    if secret.isascii() and secret.decode("ascii").isprintable():
        yield secret.decode("ascii")


def _without_private_key(found: re.Match[str]) -> str:
    """Take away base64 of a private key; certificates begin like it and stay."""
    text = found[0].rstrip("=")
    try:
        content = base64.b64decode(text[: len(text) // 4 * 4])
    except binascii.Error:
        return REMOVED
    return REMOVED if b"PRIVATE KEY" in content else found[0]


def _without_value(found: re.Match[str]) -> str:
    before = re.search(r"[\w.-]*\Z", found.string[max(0, found.start() - _LONGEST_NAME) : found.start()])
    if _OPEN.search((before[0] if before else "") + found["name"]):
        return found[0]
    return f"{found['name']}{found['between']}{REMOVED}"
