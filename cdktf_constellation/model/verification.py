# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`data.constellation_verification`: every node proves itself, whenever Terraform plans."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from cdktf_constellation.model.block import Addressed, DataSource
from cdktf_constellation.model.expectations import Problem, objects, text, texts
from cdktf_constellation.model.lifecycle import Condition
from cdktf_constellation.model.references import Reference
from constellation_core import rules

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cdktf_constellation.model.cluster import ClusterOutputs

_PLACES: Final = ("workspace", "kubeconfig_path", "endpoints")
_MOST_ENDPOINTS: Final = 1024
_MOST_ATTESTATIONS: Final = 64


class OnRefusal(StrEnum):
    """What follows when a node is not accepted."""

    WARN = "warn"
    STOP = "stop"
    NOTHING = "nothing"


def _endpoints(given: Sequence[str]) -> str | None:
    if not 1 <= len(given) <= _MOST_ENDPOINTS:
        return f"1 to {_MOST_ENDPOINTS} elements"
    wrong = next((one for one in given if rules.endpoint(one.rpartition("=")[2])), None)
    return None if wrong is None else f"NAME=HOST:PORT, and not {wrong!r:.80}"


def _attestations(given: Sequence[object]) -> str | None:
    return None if 1 <= len(given) <= _MOST_ATTESTATIONS else f"1 to {_MOST_ATTESTATIONS} elements"


class VerificationOutputs(Addressed):
    """What Terraform knows of a verification."""

    __slots__ = ()

    @property
    def accepted(self) -> Reference:
        """Whether all nodes are accepted, and together they are the cluster."""
        return self.output("accepted")

    @property
    def summary(self) -> Reference:
        """One sentence."""
        return self.output("summary")

    @property
    def nodes(self) -> Reference:
        """What each node proved, a list of objects."""
        return self.output("nodes")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterVerification(VerificationOutputs, DataSource):
    """Verify all nodes of a cluster, whenever Terraform plans.

    Attributes:
        workspace: of a cluster on this machine.
        kubeconfig_path: of a cluster that lives elsewhere.
        endpoints: nodes, as `NAME=HOST:PORT`.
        attestations: what is acceptable, one of several; `attestation` of `AttestationPolicy`.
        cluster_id: of the cluster; None for that of the workspace.
        timeout: how long each node may take.
        on_refusal: what follows when a node is not accepted: a `check` block warns, a condition stops the plan.
    """

    TYPE: ClassVar[str] = "constellation_verification"

    workspace: str | None = field(default=None, metadata=text())
    kubeconfig_path: str | None = field(default=None, metadata=text())
    endpoints: Sequence[str] | None = field(default=None, metadata=texts(_endpoints))
    attestations: Sequence[Reference | Mapping[str, Any]] | None = field(default=None, metadata=objects(_attestations))
    cluster_id: str | None = field(default=None, metadata=text(rules.hexadecimal(32)))
    timeout: str | None = field(default=None, metadata=text(rules.duration))
    on_refusal: OnRefusal = OnRefusal.WARN

    @classmethod
    def of(cls, cluster: ClusterOutputs, label: str, **arguments: Any) -> Self:  # noqa: ANN401 - as of the class
        """Verify a cluster on this machine, after everything that an apply does to it.

        Args:
            cluster: the cluster.
            label: name in Terraform.
            **arguments: the rest, as of the class.
        """
        theirs = {"workspace": cluster.output("workspace"), "depends_on": [cluster]}
        return cls(label, **{**theirs, **arguments})

    def problems(self) -> Iterator[Problem]:
        """Say who is asked, and what is acceptable."""
        if sum(getattr(self, name) is not None for name in _PLACES) != 1:
            yield Problem(_PLACES[0], f"exactly one of {', '.join(_PLACES)}")
        elif self.workspace is None and not self.attestations:
            yield Problem("attestations", "what is acceptable: only a workspace has an image of its own")

    def postconditions(self) -> Sequence[Condition]:
        """Give the condition that stops the plan."""
        return [self._condition("self")] if self.on_refusal is OnRefusal.STOP else ()

    def beside(self) -> dict[str, Any]:
        """Give the `check` block that warns."""
        if self.on_refusal is not OnRefusal.WARN:
            return {}
        return {"check": {self.label: {"assert": [self._condition(self.address).to_terraform()]}}}

    def _condition(self, where: str) -> Condition:
        accepted, summary = f"{where}.accepted", f"{where}.summary"
        return Condition(condition=Reference.of(accepted), error_message=Reference.of(summary))
