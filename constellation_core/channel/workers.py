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
    """The threads of one server or client.

    Devices work on one thing at a time, so one thread asks them; a slow one delays nobody's judgement.

    Args:
        issuer: what makes our evidence; None where we do not attest.
        verifier: who judges the peer's; None where the peer does not attest.
    """

    def __init__(self, issuer: Issuer | None, verifier: Verifier | None) -> None:
        self._issuer = issuer
        self._verifier = verifier
        self._devices = ThreadPoolExecutor(1, thread_name_prefix="issue")
        self._judges = ThreadPoolExecutor(_JUDGES, thread_name_prefix="judge")

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
        """End the threads; what they are doing is finished in the background."""
        self._devices.shutdown(wait=False, cancel_futures=True)
        self._judges.shutdown(wait=False, cancel_futures=True)

    @staticmethod
    def _issue(issuer: Issuer, binding: bytes) -> bytes:
        return issuer.issue(binding).to_json()

    @staticmethod
    def _judge(verifier: Verifier, data: bytes, binding: bytes, image: SignedManifest | None) -> Verdict:
        evidence = Evidence.from_json(data)
        if evidence.variant not in verifier.variants:
            raise not_this_variant(evidence.variant, verifier.variants)
        return verifier.judge(evidence, binding=binding, image=image)
