# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What happens is told once, and again only when it changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from attestation.verdict import Mismatch
from constellation_core.roles import Role
from constellation_engine.cluster.cluster_verdict import ClusterVerdict, Endpoint, NodeVerdict
from constellation_engine.cluster.happenings import Kind, Watch
from constellation_engine.cluster.nodes import Decision, JoinRequest
from constellation_engine.cluster.status import ClusterStatus, JoinConfigStatus, RefusalEvent

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
REGISTER, OTHER = Mismatch("measurements.4", "aa", "bb"), Mismatch("measurements.9", "cc", "dd")


def status(*refusals: RefusalEvent, requests: tuple[JoinRequest, ...] = ()) -> ClusterStatus:
    nothing: dict[str, Any] = dict.fromkeys(("nodes", "strangers", "services", "waiting_pods"), ())
    return ClusterStatus(**nothing, join_config=JoinConfigStatus(), requests=requests, refusals=refusals)


def request(identity: str) -> JoinRequest:
    return JoinRequest(
        name="control-plane-1",
        role=Role.CONTROL_PLANE,
        variant="qemu-vtpm",
        identity=identity,
        disk="",
        decision=Decision.NONE,
        phase="Pending",
        requested_at=None,
        version="1",
    )


def verdict(*reasons: Mismatch, failure: str = "") -> ClusterVerdict:
    node = NodeVerdict(endpoint=Endpoint("192.0.2.7", name="worker-0"), mismatches=reasons, failure=failure)
    return ClusterVerdict(at=NOW, cluster_id=None, nodes=(node,))


def test_a_refusal_is_told_once_and_an_old_one_never() -> None:
    watch = Watch(since=NOW)
    new = RefusalEvent(NOW, "Refused", "a machine was refused")
    old = RefusalEvent(NOW - timedelta(minutes=1), "Refused", "long ago")
    (told,) = watch.compare(status(new, old))
    assert (told.kind, told.message) == (Kind.JOIN_REFUSED, "a machine was refused")
    assert list(watch.compare(status(new, old))) == []


def test_a_join_config_that_is_refused_is_another_kind() -> None:
    (told,) = Watch(since=NOW).compare(status(RefusalEvent(NOW, "JoinConfigRefused", "it is no YAML")))
    assert told.kind is Kind.JOIN_CONFIG_REFUSED


def test_who_waits_is_told_once_for_each_machine() -> None:
    watch = Watch(since=NOW)
    (told,) = watch.compare(status(requests=(request("ab" * 32),)))
    assert told.to_mapping() == {
        "version": 1,
        "kind": "node_pending",
        "at": NOW.isoformat(),
        "message": "control-plane-1 proved itself as a control-plane, and waits for a person",
        "node": "control-plane-1",
        "role": "control-plane",
        "variant": "qemu-vtpm",
        "identity": "ab" * 32,
    }
    assert list(watch.compare(status(requests=(request("ab" * 32),)))) == []
    assert len(list(watch.compare(status(requests=(request("cd" * 32),))))) == 1


def test_drift_is_told_when_it_begins_and_when_it_changes() -> None:
    watch = Watch(since=NOW)
    (told,) = watch.judge(verdict(REGISTER))
    assert (told.kind, told.node) == (Kind.MEASUREMENT_DRIFT, "worker-0")
    assert told.details["mismatches"][0]["name"] == "measurements.4"
    assert list(watch.judge(verdict(REGISTER))) == []
    assert len(list(watch.judge(verdict(REGISTER, OTHER)))) == 1


def test_silence_is_no_drift_and_does_not_end_one() -> None:
    watch = Watch(since=NOW)
    assert list(watch.judge(verdict(failure="nobody answers"))) == []
    assert len(list(watch.judge(verdict(REGISTER)))) == 1
    assert list(watch.judge(verdict(failure="nobody answers"))) == []
    assert list(watch.judge(verdict(REGISTER))) == []


def test_an_api_server_that_does_not_answer_is_told_once_until_it_does() -> None:
    watch = Watch(since=NOW)
    assert [len(list(watch.miss("refused", NOW))) for _ in range(2)] == [1, 0]
    assert list(watch.compare(status())) == []
    assert len(list(watch.miss("refused", NOW))) == 1
