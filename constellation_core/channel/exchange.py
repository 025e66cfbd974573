# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The four frames of an attested channel, both sides.

What each step stops:

1. Both sides send a nonce of 32 random bytes (attack: evidence recorded earlier).
2. Each side judges what the other signed over both nonces, its role and the TLS connection (attacks: evidence relayed
   from another connection, even by somebody who holds the TLS key; our own evidence sent back to us).
3. Where evidence is demanded, none at all is a refusal (attack: leave it out).
4. The two sides speak in turns, and HTTP/2 begins after the last frame (attack: requests before the verdict).
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final, NoReturn

from attestation.errors import AttestationError, MalformedError
from attestation.verdict import Mismatch
from constellation_core.channel.binding import NONCE_SIZE, VERSION, Role, TlsFacts
from constellation_core.errors import (
    BusyError,
    InsecureConnectionError,
    PeerNotAcceptedError,
    PeerUnavailableError,
    RefusedError,
)
from constellation_core.image_manifest import SignedManifest
from constellation_proto import attest_pb2

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from attestation.verdict import Verdict
    from constellation_core.channel.stream import FrameStream
    from constellation_core.channel.workers import Workers

_TOLD: Final = 32  # mismatches at most that we tell a peer
_TRY_AGAIN: Final = frozenset({attest_pb2.CODE_BUSY, attest_pb2.CODE_UNAVAILABLE})


async def meet_server(stream: FrameStream, workers: Workers) -> Verdict:
    """Go through the exchange as a client.

    Returns:
        What we think of the server: accepted.

    Raises:
        PeerNotAcceptedError: we do not accept the server.
        RefusedError: the server does not accept us.
        InsecureConnectionError: the connection or a frame is not what it must be.
        PeerUnavailableError: the server went away, or cannot judge now.
        AttestationError: our own device failed.
    """
    tls = stream.tls.facts()
    # 1
    own_nonce = secrets.token_bytes(NONCE_SIZE)
    stream.send(
        attest_pb2.ClientHello(version=VERSION, nonce=own_nonce, variants=workers.variants, will_attest=workers.attests)
    )
    hello = await stream.receive(attest_pb2.ServerHello)
    if hello.code != attest_pb2.CODE_UNSPECIFIED:
        raise _try_again()
    _check_nonce(hello.nonce, own_nonce)
    # 2, 3
    expected = tls.binding(Role.SERVER, nonce_of_peer=own_nonce, own_nonce=hello.nonce)
    try:
        verdict = await workers.judge(hello.evidence, expected, SignedManifest.from_message(hello.image))
    except MalformedError as error:
        raise PeerNotAcceptedError(f"the server's evidence cannot be read: {error}", hint=error.hint) from None
    if not verdict.accepted:
        raise _not_accepted("the server", verdict)
    evidence = b""
    if hello.demands_evidence:
        if not workers.attests:
            raise RefusedError("the server demands evidence and this client has none", hint="run this on a node")
        binding = tls.binding(Role.CLIENT, nonce_of_peer=hello.nonce, own_nonce=own_nonce)
        evidence = await workers.issue(binding)
    # 4
    stream.send(attest_pb2.ClientEvidence(evidence=evidence))
    answer = await stream.receive(attest_pb2.Verdict, last=True)
    if answer.code != attest_pb2.CODE_ACCEPTED:
        _refused(answer)
    return verdict


async def hear_client(stream: FrameStream) -> attest_pb2.ClientHello:
    """Wait for a client's first frame, as a server. So far the client cost us no more than TLS.

    Raises:
        InsecureConnectionError: the frame is not what it must be.
        PeerUnavailableError: the client went away.
    """
    hello = await stream.receive(attest_pb2.ClientHello)
    if hello.version != VERSION:
        raise InsecureConnectionError(f"version: expected {VERSION}, got {hello.version!r:.80}")
    _check_nonce(hello.nonce, b"")
    return hello


async def meet_client(
    stream: FrameStream,
    hello: attest_pb2.ClientHello,
    *,
    tls: TlsFacts,
    workers: Workers,
    image: SignedManifest | None,
    turn: AbstractAsyncContextManager[None],
) -> Verdict | None:
    """Go through the rest of the exchange as a server. The verdict is sent last.

    Args:
        stream: the connection.
        hello: the client's first frame.
        tls: facts of the connection.
        workers: who makes and judges evidence.
        image: signed manifest of our own image; None sends none.
        turn: at our device.

    Returns:
        What we think of the client: accepted; None where clients do not attest.

    Raises:
        PeerNotAcceptedError: we do not accept the client; it was told.
        InsecureConnectionError: a frame is not what it must be, or not in its turn.
        PeerUnavailableError: the client went away.
        BusyError: the client's turn at our device did not come; it was told.
        AttestationError: our own device failed, or our verifier; the client was told.
    """
    # 1
    own_nonce = secrets.token_bytes(NONCE_SIZE)
    try:
        async with turn:
            evidence = await workers.issue(tls.binding(Role.SERVER, nonce_of_peer=hello.nonce, own_nonce=own_nonce))
    except (AttestationError, BusyError) as error:
        code = attest_pb2.CODE_BUSY if isinstance(error, BusyError) else attest_pb2.CODE_UNAVAILABLE
        stream.send(attest_pb2.ServerHello(code=code))
        raise
    stream.send(
        attest_pb2.ServerHello(
            nonce=own_nonce,
            evidence=evidence,
            image=image.to_message() if image is not None else None,
            demands_evidence=workers.demands_evidence,
            variants=workers.variants,
        )
    )
    answer = await stream.receive(attest_pb2.ClientEvidence)
    # 2, 3
    verdict = None
    if workers.demands_evidence:
        expected = tls.binding(Role.CLIENT, nonce_of_peer=own_nonce, own_nonce=hello.nonce)
        verdict = await _judge_client(stream, answer.evidence, expected, workers)
    # 4
    _tell(stream, attest_pb2.CODE_ACCEPTED)
    return verdict


async def _judge_client(stream: FrameStream, evidence: bytes, binding: bytes, workers: Workers) -> Verdict:
    try:
        verdict = await workers.judge(evidence, binding)
    except MalformedError as error:
        _tell(stream, attest_pb2.CODE_BAD_REQUEST)
        raise PeerNotAcceptedError(f"the client's evidence cannot be read: {error}", hint=error.hint) from None
    except PeerNotAcceptedError:
        _tell(stream, attest_pb2.CODE_NOT_ACCEPTED)
        raise
    except Exception:
        _tell(stream, attest_pb2.CODE_UNAVAILABLE)
        raise
    if not verdict.accepted:
        # Who is not genuine learns nothing: it may be looking for what would be accepted.
        _tell(stream, attest_pb2.CODE_NOT_ACCEPTED, verdict.mismatches if verdict.genuine else ())
        raise _not_accepted("the client", verdict)
    return verdict


def _tell(stream: FrameStream, code: attest_pb2.Code, mismatches: tuple[Mismatch, ...] = ()) -> None:
    told = [
        attest_pb2.Mismatch(name=reason.name, expected=reason.expected, got=reason.got, hint=reason.hint)
        for reason in mismatches[:_TOLD]
    ]
    stream.send(attest_pb2.Verdict(code=code, mismatches=told))


def _refused(answer: attest_pb2.Verdict) -> NoReturn:
    if answer.code in _TRY_AGAIN:
        raise _try_again()
    reasons = [Mismatch(reason.name, reason.expected, reason.got, reason.hint) for reason in answer.mismatches]
    told = "; ".join(map(str, reasons)) or "it does not tell strangers why"
    raise RefusedError(
        f"the server does not accept this machine: {told}", mismatches=reasons, hint="the server's log has every reason"
    )


def _try_again() -> PeerUnavailableError:
    return PeerUnavailableError("the server cannot take us now", hint="try again")


def _not_accepted(who: str, verdict: Verdict) -> PeerNotAcceptedError:
    reasons = "; ".join(map(str, verdict.mismatches)) or "nobody vouches for it"
    return PeerNotAcceptedError(
        f"{who} is not accepted: {reasons}", verdict=verdict, hint="compare the policy with the image that it booted"
    )


def _check_nonce(nonce: bytes, own: bytes) -> None:
    if len(nonce) != NONCE_SIZE:
        raise InsecureConnectionError(f"nonce: expected {NONCE_SIZE} bytes, got {len(nonce)}")
    if nonce == own:
        raise InsecureConnectionError("nonce: the peer sent ours back")
