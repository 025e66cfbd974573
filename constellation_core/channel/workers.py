# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Evidence is made and judged in threads, so that no slow device and no long check stops the event loop."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from attestation.evidence import Evidence
from constellation_core.channel.verifier import not_this_variant
from constellation_core.errors import PeerNotAcceptedError

if TYPE_CHECKING:
    from attestation.issuer import Issuer
    from attestation.verdict import Verdict
    from constellation_core.channel.verifier import Verifier
    from constellation_core.image_manifest import SignedManifest

_JUDGES = 2  # threads: a check is all computation, more of them only fight for the interpreter


class Workers:
    """Makes and judges evidence for a server, or for a client.

    Devices work on one thing at a time, so a server has one thread that asks them: a slow one delays no judgement.

    Args:
        issuer: what makes our evidence; None where we do not attest.
        verifier: who judges the peer's; None where the peer does not attest.
        own_threads: whether to have threads of our own; without, those of the event loop do, which are there already.
    """

    def __init__(self, issuer: Issuer | None, verifier: Verifier | None, *, own_threads: bool) -> None:
        self._issuer = issuer
        self._verifier = verifier
        self._devices = ThreadPoolExecutor(1, thread_name_prefix="issue") if own_threads else None
        self._judges = ThreadPoolExecutor(_JUDGES, thread_name_prefix="judge") if own_threads else None

    @property
    def attests(self) -> bool:
        """Whether we can make evidence."""
        return self._issuer is not None

    @property
    def demands_evidence(self) -> bool:
        """Whether the peer must attest."""
        return self._verifier is not None

    @property
    def variants(self) -> list[str]:
        """Whose evidence we can judge, sorted."""
        return sorted(variant.value for variant in self._verifier.variants) if self._verifier is not None else []

    async def issue(self, binding: bytes) -> bytes:
        """Make evidence: canonical JSON.

        Raises:
            AttestationError: a device does not do what was asked.
        """
        if self._issuer is None:
            return b""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._devices, self._issue, self._issuer, binding)

    async def judge(self, evidence: bytes, binding: bytes, image: SignedManifest | None = None) -> Verdict:
        """Judge the peer's evidence; accepted or not.

        Raises:
            PeerNotAcceptedError: there is none, or nobody here can judge it.
            MalformedError: it is not what evidence must be.
        """
        if self._verifier is None or not evidence:
            raise PeerNotAcceptedError("evidence: expected some, got none", hint="the peer must attest itself")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._judges, self._judge, self._verifier, evidence, binding, image)

    def close(self) -> None:
        """End our threads; what they are doing is finished in the background."""
        for executor in (self._devices, self._judges):
            if executor is not None:
                executor.shutdown(wait=False, cancel_futures=True)

    @staticmethod
    def _issue(issuer: Issuer, binding: bytes) -> bytes:
        return issuer.issue(binding).to_json()

    @staticmethod
    def _judge(verifier: Verifier, data: bytes, binding: bytes, image: SignedManifest | None) -> Verdict:
        evidence = Evidence.from_json(data)
        if evidence.variant not in verifier.variants:
            raise not_this_variant(evidence.variant, verifier.variants)
        return verifier.judge(evidence, binding=binding, image=image)
