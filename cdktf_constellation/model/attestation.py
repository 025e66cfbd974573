# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`data.constellation_attestation`: what is acceptable, from what whoever built an image signed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from cdktf_constellation.model.block import Addressed, DataSource
from cdktf_constellation.model.expectations import Problem, anything, numbers, text
from constellation_core import rules

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cdktf_constellation.model.references import Reference


class PolicyOutputs(Addressed):
    """What Terraform knows of a policy."""

    __slots__ = ()

    @property
    def attestation(self) -> Reference:
        """What is acceptable, an object for clusters and verifications."""
        return self.output("attestation")

    @property
    def policy(self) -> Reference:
        """The whole policy, JSON."""
        return self.output("policy")


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestationPolicy(PolicyOutputs, DataSource):
    """What is acceptable: machines that booted an image which the right one signed.

    Attributes:
        image: `image` of a `NodeImage`.
        manifest: instead of an image, its `measurements.json`.
        signature: of the manifest, base64.
        public_key: who builds images that are trusted, PEM; without it, the key beside the image.
        minimum_tcb: least security version of each component.
        extra_policy: what else the policy says, JSON.
    """

    TYPE: ClassVar[str] = "constellation_attestation"

    image: Reference | Mapping[str, Any] | None = field(default=None, metadata=anything())
    manifest: str | None = field(default=None, metadata=text())
    signature: str | None = field(default=None, metadata=text(rules.base64))
    public_key: str | None = field(default=None, metadata=text(rules.public_key))
    minimum_tcb: Mapping[str, int] | None = field(default=None, metadata=numbers(rules.tcb_versions))
    extra_policy: str | None = field(default=None, metadata=text(rules.json_object))

    def problems(self) -> Iterator[Problem]:
        """Have one source, and a signature."""
        if (self.image is None) == (self.manifest is None):
            yield Problem("image", "exactly one of image, manifest")
        if self.manifest is not None and self.signature is None:
            yield Problem("signature", "the signature of the manifest")
        if self.manifest is None and self.signature is not None:
            yield Problem("signature", "a manifest with it; an image has its own signature")
        if self.manifest is not None and self.public_key is None:
            yield Problem("public_key", "the key of who builds images: nothing lies beside a manifest")
