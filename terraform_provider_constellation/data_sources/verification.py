# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`data.constellation_verification`: every node proves itself, whenever Terraform plans.

What nodes prove is a result and no error, whatever it is: `check` blocks and conditions decide what follows from it.
Only what nobody can be asked about is an error: a workspace that is none, a policy that cannot be used.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Final

from terraform_provider_constellation.errors import detail_of, telling
from terraform_provider_constellation.objects.attestation import Attestation, policy_of
from terraform_provider_constellation.objects.words import cluster_id_text
from terraform_provider_constellation.plugin.api import (
    Call,
    DataSource,
    Length,
    Model,
    Problem,
    computed,
    duration,
    exactly_one_of,
    optional,
    rule,
)
from terraform_provider_constellation.plugin.schema.timeouts import parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from attestation.verdict import Mismatch
    from constellation_engine.cluster.cluster_verdict import Endpoint, NodeVerdict
    from constellation_engine.cluster.question import Question


_LOG: Final = logging.getLogger(__name__)


class Reason(Model):
    """A reason to refuse."""

    name: str = computed("The check or the field of the policy, such as `measurements.4`.")
    expected: str = computed("What would have been accepted.")
    got: str = computed("What came.")
    hint: str = computed("What to do next; may be empty.")


class VerifiedNode(Model):
    """What one node proved."""

    name: str | None = computed("What it is called.")
    address: str = computed("Where it was asked.")
    accepted: bool = computed("Whether it answered, and everything that it said is accepted.")
    failure: str | None = computed("Why it came to no verdict; null where it did.")
    hint: str | None = computed("What to do about the failure.")
    variant: str | None = computed("The platform that attested it.")
    hardware_root: str | None = computed("Who vouches in the end: the CPU, or nobody.")
    identity: str | None = computed("SHA-256 of what identifies its devices, hexadecimal.")
    mismatches: list[Reason] = computed("Every reason to refuse it.")
    warnings: list[str] = computed("What is accepted and should be known.")


class Verification(Model):
    """Verify all nodes of a cluster, at plan time too.

    Each node proves what it booted, over the attested channel, and that it belongs to the cluster. A node that does not
    answer is a result: `accepted` is false, and `failure` says why. Use it in `check` blocks, which warn, or in
    conditions, which stop.
    """

    workspace: str | None = optional(
        "Workspace of a cluster on this machine: says which nodes, which cluster, and by what to judge."
    )
    kubeconfig_path: str | None = optional(
        "Kubeconfig of a cluster that lives elsewhere: its API server says which nodes there are."
    )
    endpoints: list[str] | None = optional(
        "Nodes, as `NAME=HOST:PORT`; where nothing else is given, nobody says whether these are all.",
        validators=[Length(1, 1024)],
    )
    attestations: list[Attestation] | None = optional(
        "What is acceptable, one of several. Default: the image of the workspace.", validators=[Length(1, 64)]
    )
    cluster_id: str | None = optional(
        "ID of the cluster. Default: that of the workspace.", validators=[cluster_id_text]
    )
    timeout: str = optional("How long each node may take.", default="2m", validators=[duration])
    accepted: bool = computed("Whether all nodes are accepted, and together they are the cluster.")
    summary: str = computed("One sentence.")
    nodes: list[VerifiedNode] = computed("One entry a node.")
    mismatches: list[Reason] = computed("Reasons to refuse that are not about one node.")
    warnings: list[str] = computed("What is accepted and should be known.")

    places = exactly_one_of("workspace", "kubeconfig_path", "endpoints")

    @rule
    def something_is_acceptable(self) -> Iterator[Problem]:
        """Without a workspace nobody else says it."""
        if self.workspace is None and not self.attestations:
            detail = "Expected what is acceptable: only a workspace has an image of its own."
            yield Problem("Missing attestations", detail, "kubeconfig_path" if self.kubeconfig_path else "endpoints")

    @rule
    def nodes_have_addresses(self) -> Iterator[Problem]:
        """What cannot be read cannot be asked."""
        from constellation_core.errors import ConfigError  # noqa: PLC0415 - Terraform starts us often
        from constellation_engine.cluster.cluster_verdict import Endpoint  # noqa: PLC0415

        for index, text in enumerate(self.endpoints or ()):
            try:
                Endpoint.parse(text)
            except ConfigError as error:
                yield Problem("Invalid endpoint", detail_of(error), f"endpoints[{index}]")


class VerificationSource(DataSource[Verification]):
    """Verifies clusters."""

    name = "constellation_verification"

    async def read(self, config: Verification, call: Call) -> Verification:
        """Ask everybody."""
        del call
        with telling("Nobody can be asked"):
            question = await asyncio.to_thread(_question, config)
            verdict = await question.ask(timeout=parse_duration(config.timeout).total_seconds(), progress=_tell)
        config.accepted = verdict.accepted
        config.summary = verdict.summary
        config.nodes = [_node(node) for node in verdict.nodes]
        config.mismatches = _reasons(verdict.mismatches)
        config.warnings = list(verdict.warnings)
        return config


def _tell(endpoint: Endpoint, words: str) -> None:
    _LOG.info("%s: %s", endpoint, words)


def _question(config: Verification) -> Question:
    from constellation_engine.cluster.cluster_verdict import Endpoint  # noqa: PLC0415 - Terraform starts us often
    from constellation_engine.cluster.question import Question, question_of_api  # noqa: PLC0415
    from constellation_engine.local_cluster import Workspace  # noqa: PLC0415
    from constellation_engine.local_cluster.verification import question_of  # noqa: PLC0415

    policies = [policy_of(one) for one in config.attestations or ()]
    cluster_id = bytes.fromhex(config.cluster_id) if config.cluster_id is not None else None
    if config.workspace is not None:
        return question_of(Workspace.open(Path(config.workspace)), policies, cluster_id=cluster_id)
    if config.kubeconfig_path is not None:
        return question_of_api(Path(config.kubeconfig_path), policies, cluster_id=cluster_id)
    endpoints = [Endpoint.parse(text) for text in config.endpoints or ()]
    return Question(endpoints=endpoints, policies=policies, cluster_id=cluster_id)


def _node(node: NodeVerdict) -> VerifiedNode:
    verdict = node.verdict
    variant = verdict.evidence.variant if verdict is not None else None
    return VerifiedNode(
        name=node.name or None,
        address=node.endpoint.address,
        accepted=node.accepted,
        failure=node.failure or None,
        hint=node.hint or None,
        variant=variant.value if variant is not None else None,
        hardware_root=variant.hardware_root.value if variant is not None else None,
        identity=verdict.identity.hex() if verdict is not None and verdict.identity is not None else None,
        mismatches=_reasons(node.reasons),
        warnings=list(verdict.warnings) if verdict is not None else [],
    )


def _reasons(mismatches: Iterable[Mismatch]) -> list[Reason]:
    return [Reason(name=one.name, expected=one.expected, got=one.got, hint=one.hint) for one in mismatches]
