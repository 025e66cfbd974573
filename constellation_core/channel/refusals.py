# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Why a server let somebody not in: for metrics, events and a log that nobody can flood."""

from __future__ import annotations

import asyncio
import logging
import ssl
import traceback
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, Protocol

from attestation.errors import AttestationError
from constellation_core.errors import (
    BusyError,
    ChannelError,
    InsecureConnectionError,
    PeerNotAcceptedError,
    PeerUnavailableError,
)

if TYPE_CHECKING:
    from attestation.verdict import Verdict

_LOG: Final = logging.getLogger(__name__)
_QUIET: Final = 60.0  # seconds between two lines about the same peer and reason
_REMEMBERED: Final = 1024  # peers and reasons
_LONGEST: Final = 1000  # letters of a detail


class Reason(Enum):
    """Why a connection ended before the verdict was good."""

    NOT_TLS = "tls"  # no TLS 1.3 that we speak
    PROTOCOL = "protocol"  # a frame, or what holds of the connection, is not what it must be
    NOT_ACCEPTED = "evidence"  # evidence is missing, not genuine, or not what the policy says
    TIMEOUT = "timeout"
    CLOSED = "closed"  # the peer went away
    CROWDED = "crowded"  # it was silent, and others needed the place
    BUSY = "busy"  # too many wanted a signature of our device
    OWN_DEVICE = "device"  # our own evidence could not be made
    UNEXPECTED = "unexpected"

    @classmethod
    def of(cls, error: BaseException) -> Reason:
        """Sort an error."""
        kinds: tuple[tuple[type[BaseException], Reason], ...] = (
            (PeerNotAcceptedError, cls.NOT_ACCEPTED),
            (PeerUnavailableError, cls.CLOSED),
            (BusyError, cls.BUSY),
            (InsecureConnectionError, cls.PROTOCOL),
            (ChannelError, cls.PROTOCOL),
            (AttestationError, cls.OWN_DEVICE),
            (TimeoutError, cls.TIMEOUT),
            (ssl.SSLError, cls.NOT_TLS),
            (OSError, cls.CLOSED),
            (asyncio.CancelledError, cls.CROWDED),
        )
        return next((reason for kind, reason in kinds if isinstance(error, kind)), cls.UNEXPECTED)

    @property
    def is_news(self) -> bool:
        """Whether an operator wants to know of each."""
        return self in {Reason.NOT_ACCEPTED, Reason.OWN_DEVICE, Reason.UNEXPECTED}


_WORDS: Final = {  # for errors that have none
    Reason.TIMEOUT: "it took too long",
    Reason.CROWDED: "others needed its place, or the server ends",
    Reason.CLOSED: "the peer hung up",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """One connection that ended before the verdict was good.

    Attributes:
        address: where it came from.
        reason: the kind.
        detail: for people.
        verdict: what the judgement said, if it came to one.
    """

    address: str
    reason: Reason
    detail: str
    verdict: Verdict | None = None

    @classmethod
    def of(cls, address: str, error: BaseException) -> Refusal:
        """Describe an error in one line: parts of it may be words of the peer."""
        reason = Reason.of(error)
        said = str(error)[:_LONGEST] or _WORDS.get(reason) or type(error).__name__
        if reason is Reason.UNEXPECTED:
            said = f"{type(error).__name__}: {said} ({_place_of(error)})"
        detail = "".join(letter if letter.isprintable() else "·" for letter in said)
        return cls(address, reason, detail, getattr(error, "verdict", None))


class Observer(Protocol):
    """Hears of every connection. Called in the event loop: it must not wait."""

    def accepted(self, address: str, verdict: Verdict | None) -> None:
        """A peer passed; the verdict is None where peers do not attest."""

    def refused(self, refusal: Refusal) -> None:
        """A peer did not."""


class RefusalLog:
    """Writes each peer and reason once a minute, with the number of those it left out."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, Reason], tuple[float, int]] = {}

    def write(self, refusal: Refusal, now: float) -> None:
        """Log a refusal, unless its like was logged within a minute.

        Args:
            refusal: what happened.
            now: monotonic seconds.
        """
        key = (refusal.address, refusal.reason)
        last, left_out = self._seen.pop(key, (float("-inf"), 0))
        if now - last < _QUIET:
            self._seen[key] = (last, left_out + 1)
            return
        if len(self._seen) >= _REMEMBERED:
            del self._seen[next(iter(self._seen))]
        self._seen[key] = (now, 0)
        more = f" ({left_out} more like it in between)" if left_out else ""
        level = logging.WARNING if refusal.reason.is_news else logging.INFO
        _LOG.log(level, "refused %s (%s): %s%s", refusal.address, refusal.reason.value, refusal.detail, more)


def _place_of(error: BaseException) -> str:
    """Where a surprise happened: nobody gets its traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "nowhere"
