# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Who judges a peer's evidence: one small protocol, and its usual implementation by policies."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from attestation.case import Mark
from attestation.errors import AttestationError
from attestation.judge import judge
from attestation.roots import VENDOR_ROOTS, Roots
from constellation_core.errors import ConfigError, PeerNotAcceptedError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from attestation.evidence import Evidence
    from attestation.policy import Policy
    from attestation.variant import Variant
    from attestation.verdict import Verdict
    from constellation_core.image_manifest import ImageManifest, SignedManifest


class Verifier(Protocol):
    """Judges the evidence of a peer. Called in a thread: it may take its time, and it must not fetch anything."""

    @property
    def variants(self) -> Collection[Variant]:
        """Whose evidence it can judge."""

    def judge(self, evidence: Evidence, *, binding: bytes, image: SignedManifest | None) -> Verdict:
        """Judge evidence.

        Args:
            evidence: what the peer sent.
            binding: the 32 bytes that it must have signed.
            image: what the peer says its image is: nobody's word but the signer's.

        Raises:
            PeerNotAcceptedError: there is nothing to judge it by.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyVerifier:
    """Accepts a peer that one of some policies accepts.

    Attributes:
        policies: what is acceptable; at least one.
        mark: what the register with the cluster's mark must hold.
        roots: vendor keys to believe; others than the default only for fakes.
    """

    policies: Sequence[Policy]
    mark: Mark | bytes = Mark.UNMARKED
    roots: Roots = VENDOR_ROOTS

    def __post_init__(self) -> None:
        """Refuse to accept anybody by no policy at all."""
        if not self.policies:
            raise ConfigError("a verifier needs at least one policy: without any it would have nothing to judge by")

    @property
    def variants(self) -> frozenset[Variant]:
        """Whose evidence it can judge."""
        return frozenset(policy.variant for policy in self.policies)

    def judge(self, evidence: Evidence, *, binding: bytes, image: SignedManifest | None = None) -> Verdict:
        """Judge by each policy of the variant: the first that accepts, else the one that comes closest."""
        del image
        now = datetime.now(UTC)
        closest: Verdict | None = None
        for policy in self.policies:
            if policy.variant is not evidence.variant:
                continue
            verdict = judge(evidence, policy, binding=binding, at=now, mark=self.mark, roots=self.roots)
            if verdict.accepted:
                return verdict
            if closest is None or len(verdict.mismatches) < len(closest.mismatches):
                closest = verdict
        if closest is None:
            raise not_this_variant(evidence.variant, self.variants)
        return closest


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageVerifier:
    """Accepts a peer that booted our image, or one whose manifest the maker of our image signed: how a node judges.

    Attributes:
        own: accepts machines that booted the same image as we.
        rest: what a policy says beside an image (minimum TCB, revocation lists), as plain data.
        image_key: PEM of who builds images; it is in our own measured image.
        mark: what the register with the cluster's mark must hold; a service that serves already has some mark.
        roots: vendor keys to believe; others than the default only for fakes.
    """

    own: Policy
    rest: Mapping[str, Any]
    image_key: str
    mark: Mark | bytes = Mark.ANY
    roots: Roots = VENDOR_ROOTS

    @property
    def variants(self) -> frozenset[Variant]:
        """Whose evidence it can judge: machines of our own platform."""
        return frozenset({self.own.variant})

    def judge(self, evidence: Evidence, *, binding: bytes, image: SignedManifest | None) -> Verdict:
        """Judge by our own image, and then by the peer's, if it has a manifest that is signed.

        Raises:
            PeerNotAcceptedError: its manifest is not by the maker of our image.
        """
        policies = [self.own]
        if image is not None:
            try:
                policies.append(self._judged_by(image.verify(self.image_key)))
            except (AttestationError, ConfigError) as error:
                raise PeerNotAcceptedError(f"the peer's image: {error}", hint=error.hint) from None
        return PolicyVerifier(policies=policies, mark=self.mark, roots=self.roots).judge(evidence, binding=binding)

    def _judged_by(self, image: ImageManifest) -> Policy:
        """Make the policy of the peer's own image; not of one that lets people in, unless ours does too."""
        if not image.is_for_secrets and not self.own.not_for_secrets:
            raise ConfigError(
                f"{image.image} is not for secrets", hint="a cluster has images for debugging, or others; never both"
            )
        return image.policy(self.rest)


def not_this_variant(got: Variant, expected: Collection[Variant]) -> PeerNotAcceptedError:
    """Make the error for evidence of a variant that nobody asked for."""
    wanted = ", ".join(sorted(variant.value for variant in expected))
    return PeerNotAcceptedError(
        f"evidence.variant: expected one of {wanted}, got {got}",
        hint="is the machine of the kind that the policy names?",
    )
