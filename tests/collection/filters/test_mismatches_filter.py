# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""No reason of a verdict gets lost, and none is found in one that accepts."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.constellation.core.plugins.filter.mismatches import mismatches
from attestation.verdict import Mismatch
from constellation_engine.cluster.cluster_verdict import ClusterVerdict, Endpoint, NodeVerdict

REGISTER = Mismatch("measurements.4", "aa", "bb", "build it again")


def verdict(*nodes: NodeVerdict, mismatches: tuple[Mismatch, ...] = ()) -> ClusterVerdict:
    return ClusterVerdict(at=datetime.now(UTC), cluster_id=None, nodes=nodes, mismatches=mismatches)


def test_reasons_of_nodes_and_of_the_cluster_are_one_list() -> None:
    nodes = (
        NodeVerdict(endpoint=Endpoint("192.0.2.1", name="one"), mismatches=(REGISTER,)),
        NodeVerdict(endpoint=Endpoint("192.0.2.2"), failure="nobody answers", hint="is it on?"),
    )
    reasons = mismatches(verdict(*nodes, mismatches=(Mismatch("members", "two", "three"),)).to_mapping())
    assert [(one["node"], one["name"]) for one in reasons] == [
        ("", "members"),
        ("one", "measurements.4"),
        ("192.0.2.2", "answer"),
    ]
    assert reasons[1] == {"node": "one", "name": REGISTER.name, "expected": "aa", "got": "bb", "hint": REGISTER.hint}


def test_a_verdict_about_nobody_does_not_look_accepted() -> None:
    assert len(mismatches(verdict().to_mapping())) == 1


def test_an_accepted_verdict_has_no_reasons() -> None:
    assert mismatches({"accepted": True, "mismatches": [], "nodes": [{"accepted": True, "node": "one"}]}) == []


@pytest.mark.parametrize("given", [None, [], {}, {"nodes": []}])
def test_what_is_no_verdict_is_refused(given: object) -> None:
    with pytest.raises(AnsibleFilterError, match="Expected a verdict"):
        mismatches(given)
