# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Everything `constellation_core` raises of its own, one tree.

    CoreError
    ├── ConfigError            a file that a user wrote, or an object of the cluster, cannot be used
    ├── SecretFileError        a file with secrets can be read by others, is damaged, or already there
    ├── AuthorityError         the cluster's certificate authority cannot be used, or does not certify this
    ├── KeyProviderError       the key provider refuses, or has no such key
    │   └── KeyProviderUnavailableError   it cannot be reached now
    ├── StatementError         a nonce or a cluster ID is not what a statement can be bound to
    ├── ChannelError           an attested channel did not come about
    │   ├── InsecureConnectionError   TLS is not what it must be, or a frame is not
    │   ├── PeerNotAcceptedError      we do not accept the peer; carries the verdict if there is one
    │   ├── RefusedError       the peer does not accept us; carries its reasons
    │   ├── PeerUnavailableError      the peer cannot be reached, or is busy: try again
    │   └── BusyError          too many peers want a signature of our device; says when to try again
    └── ConditionTimeoutError  a condition did not come true in time; carries what it last said

Errors of `attestation` pass through as they are. Each carries `hint`: what the reader can do next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from attestation.verdict import Mismatch, Verdict


class CoreError(Exception):
    """Root of the tree.

    Args:
        message: one sentence: what was expected, what came.
        hint: what to do next; empty where the message says it all.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ConfigError(CoreError):
    """A file that a user wrote, or an object of the cluster, cannot be used."""


class SecretFileError(CoreError):
    """A file with secrets can be read by others, is damaged, or is already there."""


class AuthorityError(CoreError):
    """The cluster's certificate authority cannot be used, or does not certify this."""


class KeyProviderError(CoreError):
    """The key provider refuses, or has no such key."""


class KeyProviderUnavailableError(KeyProviderError):
    """The key provider cannot be reached now: trying again may help.

    Args:
        message: one sentence.
        retry_after: seconds that it wants to be left alone; 0 where it does not say.
    """

    def __init__(self, message: str, *, retry_after: float = 0.0, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class StatementError(CoreError):
    """A nonce or a cluster ID is not what a statement can be bound to."""


class ChannelError(CoreError):
    """An attested channel did not come about."""


class InsecureConnectionError(ChannelError):
    """The connection is not what the protocol demands: TLS version, key exchange, ALPN, a frame."""


class PeerNotAcceptedError(ChannelError):
    """We do not accept the peer.

    Args:
        message: one sentence, with every reason.
        verdict: what the judgement said; None where the peer sent nothing that could be judged.
    """

    def __init__(self, message: str, *, verdict: Verdict | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.verdict = verdict


class RefusedError(ChannelError):
    """The peer does not accept us.

    Args:
        message: one sentence.
        mismatches: the peer's reasons; none where it does not tell strangers.
    """

    def __init__(self, message: str, *, mismatches: Sequence[Mismatch] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.mismatches = tuple(mismatches)


class PeerUnavailableError(ChannelError):
    """The peer cannot be reached, is busy or went away: trying again may help."""


class BusyError(ChannelError):
    """Too many peers want a signature of our device, and this one cannot wait for its turn.

    Args:
        message: one sentence.
        retry_after: seconds after which to try again.
    """

    def __init__(self, message: str, *, retry_after: float, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class ConditionTimeoutError(CoreError):
    """A condition did not come true in time.

    Args:
        timeout: seconds that were waited.
        said: what each condition last said that is not true yet, by its name.
    """

    def __init__(self, timeout: float, said: Mapping[str, str], *, hint: str = "") -> None:
        missing = " and ".join(f"{name} (last said: {words})" for name, words in said.items())
        super().__init__(f"gave up after {timeout:g} s waiting until {missing}", hint=hint)
        self.said = dict(said)
