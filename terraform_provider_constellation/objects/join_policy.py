# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Which machines may join, as resources take it: a document, or what is acceptable and how many control planes."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from terraform_provider_constellation.objects.attestation import Attestation, policy_of, rest_of, signed_of
from terraform_provider_constellation.plugin.api import Between, Model, optional

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attestation.policy import Policy
    from constellation_core.join_config import JoinConfig

MOST_CONTROL_PLANES = 7  # of which etcd does not recommend more; the document says so again


class ControlPlaneLimits(Model):
    """Who may become a control plane: to be the right machine is not enough."""

    max: int = optional("How many there may be.", default=3, validators=[Between(1, MOST_CONTROL_PLANES)])
    approval: bool = optional(
        "Whether a person has to approve each one (`constellation nodes approve`).", default=False
    )


@lru_cache(maxsize=8)  # clusters of one `count` have the same, and each is judged twice
def join_config_document(text: str) -> str | None:
    """Judge a document."""
    from constellation_core.errors import ConfigError  # noqa: PLC0415 - Terraform starts us often
    from constellation_core.join_config import JoinConfig  # noqa: PLC0415

    try:
        JoinConfig.from_yaml(text)
    except ConfigError as error:
        return f"a join-config ({error})"
    return None


def same_join_config(one: str, other: str) -> bool:
    """Whether two documents say the same, in whatever order and with whatever spaces."""
    return one == other or (_plain(one) is not None and _plain(one) == _plain(other))


def written(attestations: Sequence[Attestation], limits: ControlPlaneLimits | None) -> str:
    """Write the document. Images are accepted with their signed manifests, other policies as they are.

    Raises:
        ImageKeyError: nodes of two images believe no key in common.
        ConfigError: nobody could join.
        AttestationError: something is not acceptable by itself.
    """
    from constellation_core.join_config import ControlPlanes, JoinConfig  # noqa: PLC0415 - as above
    from constellation_engine.node_image.signing import joined_keys  # noqa: PLC0415

    signed = [one for one in attestations if one.manifest is not None]
    policies: list[Policy] = [policy_of(one) for one in attestations]
    document: JoinConfig = JoinConfig(
        image_key=joined_keys((one.public_key or "").encode() for one in signed).decode("ascii"),
        images=tuple(map(signed_of, signed)),
        rest={policy_of(one).variant: rest_of(one) for one in signed if rest_of(one)},
        explicit=tuple(policy for policy, one in zip(policies, attestations, strict=True) if one.manifest is None),
        control_planes=ControlPlanes(max=limits.max, approval=limits.approval) if limits else ControlPlanes(),
    )
    return document.to_yaml()


def _plain(text: str) -> object:
    from attestation.errors import MalformedError  # noqa: PLC0415 - as above
    from constellation_core.strict_yaml import load_yaml  # noqa: PLC0415

    try:
        return load_yaml(text)
    except MalformedError:
        return None
