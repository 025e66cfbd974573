# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Issuers and verifiers that are slow, broken or too trusting.

    SlowIssuer(issuer, 0.6)  # a hardware TPM
    HeldIssuer(issuer)  # one that takes as long as the test wants
    BrokenIssuer()  # a TPM that does not answer
    NodeIssuer(FakeNode(Variant.QEMU_SNP))  # any platform, and any defect of one
    GullibleVerifier(verifier)  # does not look at what evidence is bound to

They wait in threads, as real devices make threads wait.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from attestation.errors import DeviceError
from attestation.judge import judge
from attestation.variant import Variant

if TYPE_CHECKING:
    from collections.abc import Collection

    from attestation.evidence import Evidence
    from attestation.issuer import Issuer
    from attestation.testing.node import FakeNode
    from attestation.verdict import Verdict
    from constellation_core.channel.verifier import PolicyVerifier, Verifier
    from constellation_core.image_manifest import SignedManifest

_LONGEST: Final = 30.0  # seconds that a held device waits even so: a test that fails must end


class Machines(NamedTuple):
    """Two machines that meet.

    Attributes:
        server: what makes the evidence of one.
        client: what makes the evidence of the other.
        verifier: who judges both.
    """

    server: Issuer
    client: Issuer
    verifier: PolicyVerifier


@dataclass(slots=True)
class SlowIssuer:
    """An issuer that takes its time.

    Attributes:
        issuer: what makes the evidence.
        seconds: how long it takes before.
        bindings: what it was asked for, in order.
    """

    issuer: Issuer
    seconds: float
    bindings: list[bytes] = field(default_factory=list)

    @property
    def variant(self) -> Variant:
        """The platform."""
        return self.issuer.variant

    def issue(self, binding: bytes) -> Evidence:
        """Wait, then issue evidence."""
        self.bindings.append(binding)
        time.sleep(self.seconds)
        return self.issuer.issue(binding)


@dataclass(slots=True)
class HeldIssuer:
    """An issuer that waits until it may go on.

    Attributes:
        issuer: what makes the evidence.
        go_on: lets it, now and from now on.
        asked: how often it was asked.
    """

    issuer: Issuer
    go_on: threading.Event = field(default_factory=threading.Event)
    asked: int = 0

    @property
    def variant(self) -> Variant:
        """The platform."""
        return self.issuer.variant

    def issue(self, binding: bytes) -> Evidence:
        """Wait, then issue evidence."""
        self.asked += 1
        self.go_on.wait(_LONGEST)
        return self.issuer.issue(binding)


@dataclass(slots=True)
class BrokenIssuer:
    """An issuer whose device fails."""

    variant: Variant = Variant.QEMU_VTPM
    error: Exception = field(default_factory=lambda: DeviceError("the TPM does not answer"))

    def issue(self, binding: bytes) -> Evidence:
        """Fail."""
        del binding
        raise self.error


@dataclass(slots=True)
class NodeIssuer:
    """The issuer of a node made of software, with all certificates."""

    node: FakeNode

    @property
    def variant(self) -> Variant:
        """The platform."""
        return self.node.variant

    def issue(self, binding: bytes) -> Evidence:
        """Issue evidence."""
        return self.node.evidence(binding)


@dataclass(slots=True)
class SlowVerifier:
    """A verifier that takes its time.

    Attributes:
        verifier: who judges.
        seconds: how long it takes before.
        judged: how often it was asked.
    """

    verifier: Verifier
    seconds: float
    judged: int = 0

    @property
    def variants(self) -> Collection[Variant]:
        """Whose evidence it can judge."""
        return self.verifier.variants

    def judge(self, evidence: Evidence, *, binding: bytes, image: SignedManifest | None) -> Verdict:
        """Wait, then judge."""
        self.judged += 1
        time.sleep(self.seconds)
        return self.verifier.judge(evidence, binding=binding, image=image)


@dataclass(slots=True)
class GullibleVerifier:
    """A verifier that does not look at what evidence is bound to: what is still refused, the other side refuses."""

    verifier: PolicyVerifier

    @property
    def variants(self) -> Collection[Variant]:
        """Whose evidence it can judge."""
        return self.verifier.variants

    def judge(self, evidence: Evidence, *, binding: bytes, image: SignedManifest | None) -> Verdict:
        """Judge it as if it were recorded."""
        del binding, image
        policy = next(policy for policy in self.verifier.policies if policy.variant is evidence.variant)
        mark, roots = self.verifier.mark, self.verifier.roots
        return judge(evidence, policy, binding=None, at=datetime.now(UTC), mark=mark, roots=roots)
