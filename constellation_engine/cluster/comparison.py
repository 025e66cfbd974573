# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What the verdicts about single nodes say together: reasons that nobody sees who looks at one node only."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from attestation.verdict import Mismatch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from constellation_engine.cluster.cluster_verdict import ClusterVerdict, NodeVerdict
    from constellation_engine.cluster.members import Member

_OF_ONE_MACHINE: Final = frozenset({"TPM name", "attestation key"})
"""Kinds of identity that two machines never share; guests on one chip or platform share the others."""


def compare(verdict: ClusterVerdict, members: Sequence[Member] | None) -> ClusterVerdict:
    """Add what the nodes say together.

    1. Two nodes with the identity of one machine are refused; where guests may share an identity, a warning says so.
    2. Without a cluster ID, all nodes carry the same mark, and carry one.
    3. A node that the cluster knows was asked, and is the machine that joined under its name.

    Args:
        verdict: about single nodes.
        members: what the cluster says that it has; None does not compare.
    """
    verdict = _without_twins(verdict)  # 1
    if verdict.cluster_id is None:
        verdict = _of_one_cluster(verdict)  # 2
    return verdict if members is None else _as_the_cluster_knows(verdict, members)  # 3


def _without_twins(verdict: ClusterVerdict) -> ClusterVerdict:
    by_identity: defaultdict[tuple[str, bytes], list[NodeVerdict]] = defaultdict(list)
    for node in verdict.nodes:
        if node.verdict is not None and node.verdict.identity is not None:
            by_identity[node.verdict.identity_kind, node.verdict.identity].append(node)
    warnings = list(verdict.warnings)
    reasons: dict[int, Mismatch] = {}
    for (kind, _), twins in by_identity.items():
        names = ", ".join(_called(node) for node in twins)
        if len(twins) > 1 and kind in _OF_ONE_MACHINE:
            twice = Mismatch("identity", "a machine for each node", f"one machine that answers for {names}")
            reasons |= {id(node): twice for node in twins}
        elif len(twins) > 1:
            warnings.append(f"{names} have the same {kind}: guests on one host, or one machine that answers for all")
    nodes = tuple(_refused(node, reasons[id(node)]) if id(node) in reasons else node for node in verdict.nodes)
    return replace(verdict, nodes=nodes, warnings=tuple(warnings))


def _of_one_cluster(verdict: ClusterVerdict) -> ClusterVerdict:
    warning = "no cluster ID was given: nodes of any cluster are accepted, and no statements were asked for"
    marks: defaultdict[bytes, list[str]] = defaultdict(list)
    nodes = []
    for node in verdict.nodes:
        mark = _mark(node)
        if mark is not None:
            marks[mark].append(_called(node))
        unmarked = mark is not None and not any(mark)
        nodes.append(_refused(node, Mismatch("mark", "the mark of a cluster", "none")) if unmarked else node)
    mismatches = list(verdict.mismatches)
    if len(marks) > 1:
        groups = " and ".join(", ".join(names) for names in marks.values())
        mismatches.append(Mismatch("mark", "one cluster", f"different marks: {groups}"))
    return replace(verdict, nodes=tuple(nodes), mismatches=tuple(mismatches), warnings=(*verdict.warnings, warning))


def _as_the_cluster_knows(verdict: ClusterVerdict, members: Sequence[Member]) -> ClusterVerdict:
    known = {member.name: member for member in members}
    nodes = tuple(_as_it_joined(node, known) for node in verdict.nodes)
    asked = {node.name for node in nodes}
    not_asked = [
        Mismatch(f"nodes.{name}", "every node asked", "a node that the cluster knows and nobody asked")
        for name in known
        if name not in asked
    ]
    return replace(verdict, nodes=nodes, mismatches=(*verdict.mismatches, *not_asked))


def _as_it_joined(node: NodeVerdict, known: Mapping[str, Member]) -> NodeVerdict:
    member = known.get(node.name)
    if member is None:
        return _refused(node, Mismatch("node", "one that the cluster knows", node.name or "a node without a name"))
    if member.identity is None:
        return _refused(node, Mismatch("node", "one that was attested when it joined", "no NodeIdentity"))
    got = node.verdict.identity if node.verdict is not None else None
    if got is not None and got != member.identity:
        return _refused(node, Mismatch("identity", f"{member.identity.hex()}, which joined as {node.name}", got.hex()))
    return node


def _mark(node: NodeVerdict) -> bytes | None:
    register = node.verdict.evidence.variant.mark_register if node.verdict is not None else None
    return node.verdict.measurements.get(register) if node.verdict is not None and register is not None else None


def _refused(node: NodeVerdict, reason: Mismatch) -> NodeVerdict:
    return replace(node, mismatches=(*node.mismatches, reason))


def _called(node: NodeVerdict) -> str:
    return node.name or node.endpoint.address
