# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A cluster by the agent and the real kubeadm: one control plane, a worker, a second control plane."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from constellation_core.conditions import Condition, wait_for
from tests.node_agent.kubernetes.machines import Machine, Segment, skip_without_namespaces
from tests.node_agent.kubernetes.plans import DISK, JOIN_CONFIG
from tests.node_agent.kubernetes.tickets import issue_ticket, write_ticket

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ETCD = (
    "etcdctl",
    "--endpoints=https://127.0.0.1:2379",
    "--cacert=/etc/kubernetes/pki/etcd/ca.crt",
    "--cert=/etc/kubernetes/pki/etcd/server.crt",
    "--key=/etc/kubernetes/pki/etcd/server.key",
)


@pytest.fixture(scope="module")
def segment() -> Iterator[Segment]:
    skip_without_namespaces()
    with Segment() as segment:
        yield segment


@pytest.fixture(scope="module")
def control_plane(segment: Segment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with Machine("control-plane-0", 1, tmp_path_factory.mktemp("control-plane-0"), segment) as machine:
        machine.run(*machine.agent("init", "v1.36.4", machine.name, machine.mesh_address, machine.address))
        yield machine


@pytest.fixture(scope="module")
def worker(control_plane: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with Machine("worker-0", 2, tmp_path_factory.mktemp("worker-0"), control_plane.segment) as machine:
        issue_ticket(control_plane, machine, "worker")
        machine.run(*machine.agent("join", machine.name, "worker", machine.mesh_address, str(machine.ticket)))
        yield machine


@pytest.fixture(scope="module")
def second(control_plane: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with Machine("control-plane-1", 3, tmp_path_factory.mktemp("control-plane-1"), control_plane.segment) as machine:
        issue_ticket(control_plane, machine, "control-plane")
        machine.run(*machine.agent("join", machine.name, "control-plane", machine.mesh_address, str(machine.ticket)))
        yield machine


def found(machine: Machine, *words: str) -> Any:  # noqa: ANN401 - JSON
    return json.loads(machine.kubectl("get", *words, "--output=json"))


def finished(machine: Machine) -> bool:
    setup = (machine.disk / "etc/kubernetes/constellation/setup.json").read_text(encoding="utf-8")
    return bool(json.loads(setup) == {"version": 1, "kind": "finished"})


def test_the_first_node_is_a_control_plane_with_a_taint(control_plane: Machine) -> None:
    node = found(control_plane, "node", "control-plane-0")
    assert "node-role.kubernetes.io/control-plane" in node["metadata"]["labels"]
    assert {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"} in node["spec"]["taints"]
    assert node["status"]["addresses"][0]["address"] == control_plane.mesh_address


def test_the_cluster_knows_what_its_first_node_was_told(control_plane: Machine) -> None:
    system = "--namespace=constellation-system"
    assert found(control_plane, "configmap", "join-config", system)["data"] == {"join-config.yaml": JOIN_CONFIG}
    facts = yaml.safe_load(found(control_plane, "configmap", "cluster", system)["data"]["cluster.yaml"])
    assert facts["endpoint"] == f"{control_plane.address}:6443"
    assert found(control_plane, "configmap", facts["components"], system)["data"]
    assert set(found(control_plane, "secret", "key-material", system)["data"]) == {"uri", "salt", "secret"}


def test_the_first_node_says_who_it_is_and_claims_its_disk(control_plane: Machine) -> None:
    identity = found(control_plane, "nodeidentity", "control-plane-0")["spec"]
    lease = found(control_plane, "lease", f"disk-{DISK}", "--namespace=constellation-system")
    assert identity["meshAddress"] == control_plane.mesh_address
    assert lease["spec"]["holderIdentity"] == f"control-plane-0/{identity['identity']}"


def test_secrets_are_encrypted_before_etcd_has_them(control_plane: Machine) -> None:
    stored = control_plane.run(*ETCD, "get", "/registry/secrets/constellation-system/key-material")
    assert "k8s:enc:secretbox:v1:kube-secrets-1:" in stored
    assert "cluster://" not in stored


@pytest.mark.parametrize("path", ["/api", "/api/v1/nodes", "/version", "/metrics"])
def test_nobody_without_a_name_is_answered(control_plane: Machine, path: str) -> None:
    assert control_plane.anonymous_status(path) == 401


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/api/v1/namespaces/kube-public/configmaps/cluster-info"])
def test_but_for_what_joining_and_probes_need(control_plane: Machine, path: str) -> None:
    assert control_plane.anonymous_status(path) == 200


def test_nothing_private_can_be_read_by_others(control_plane: Machine) -> None:
    kubernetes = control_plane.disk / "etc/kubernetes"
    private = [*kubernetes.rglob("*.key"), *kubernetes.glob("*.conf"), kubernetes / "encryption-configuration.yaml"]
    assert len(private) > 10
    assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}


def test_the_way_around_rbac_is_gone(control_plane: Machine) -> None:
    assert not (control_plane.disk / "etc/kubernetes/super-admin.conf").exists()
    assert finished(control_plane)


def test_requests_are_written_down_without_secrets(control_plane: Machine) -> None:
    audit = (control_plane.disk / "var/log/kubernetes/audit.log").read_text(encoding="utf-8")
    about = [json.loads(line) for line in audit.splitlines() if "key-material" in line]
    assert {event["level"] for event in about} == {"Metadata"}


def test_kube_proxy_speaks_nftables_and_pulls_nothing(control_plane: Machine) -> None:
    proxy = found(control_plane, "daemonset", "kube-proxy", "--namespace=kube-system")
    assert proxy["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] == "IfNotPresent"
    config = found(control_plane, "configmap", "kube-proxy", "--namespace=kube-system")["data"]["config.conf"]
    assert yaml.safe_load(config)["mode"] == "nftables"


def test_a_worker_joins_with_the_certificate_of_its_ticket(control_plane: Machine, worker: Machine) -> None:
    assert found(control_plane, "node", "worker-0")["status"]["addresses"][0]["address"] == worker.mesh_address
    assert found(control_plane, "certificatesigningrequests")["items"] == []  # no TLS bootstrap
    assert finished(worker)


def test_a_worker_keeps_no_token(worker: Machine) -> None:
    kubernetes = worker.disk / "etc/kubernetes"
    assert sorted(path.name for path in kubernetes.iterdir()) == ["constellation", "kubelet.conf", "pki"]
    assert [path.name for path in (kubernetes / "pki").iterdir()] == ["ca.crt"]


def test_a_worker_gets_addresses_for_its_pods(control_plane: Machine, worker: Machine) -> None:
    command = ("wait", f"node/{worker.name}", "--for=jsonpath={.spec.podCIDR}", "--output=jsonpath={.spec.podCIDR}")
    assert control_plane.kubectl(*command).startswith("10.244.")


def test_a_second_control_plane_is_a_member_of_etcd(control_plane: Machine, second: Machine) -> None:
    members = control_plane.run(*ETCD, "member", "list").splitlines()
    assert len(members) == 2
    assert any(f"https://{second.mesh_address}:2380" in member for member in members)
    assert second.kubectl("get", "secret", "key-material", "--namespace=constellation-system")  # it decrypts


def test_a_second_control_plane_has_the_keys_of_the_first(control_plane: Machine, second: Machine) -> None:
    for path in ("pki/ca.key", "pki/sa.key", "pki/etcd/ca.key", "encryption-configuration.yaml"):
        theirs, ours = (machine.disk / "etc/kubernetes" / path for machine in (control_plane, second))
        assert theirs.read_bytes() == ours.read_bytes()
        assert stat.S_IMODE(ours.stat().st_mode) == 0o600


def test_no_bootstrap_token_is_left(control_plane: Machine) -> None:
    """What kubeadm must make in init, the cluster deletes."""

    def left() -> str | None:
        return str(found(control_plane, "secrets", "--namespace=kube-system")["items"] or "") or None

    wait_for([Condition("tokens are gone", left)], timeout=60)


@pytest.mark.timeout(1800)  # their programs are built where the cache does not have them
@pytest.mark.parametrize("version", ["1.35.8", "1.34.10"])
def test_older_releases_too(segment: Segment, tmp_path: Path, version: str) -> None:
    with Machine("control-plane-0", 11, tmp_path / "a", segment, version=version) as first:
        first.run(*first.agent("init", f"v{version}", first.name, first.mesh_address, first.address))
        with Machine("control-plane-1", 12, tmp_path / "b", segment, version=version) as second:
            issue_ticket(first, second, "control-plane")
            second.run(*second.agent("join", second.name, "control-plane", second.mesh_address, str(second.ticket)))
            assert len(first.run(*ETCD, "member", "list").splitlines()) == 2
            assert "worker" not in second.kubectl("get", "nodes")


def test_a_ticket_of_another_cluster_is_refused(control_plane: Machine, tmp_path: Path) -> None:
    with Machine("worker-1", 21, tmp_path, control_plane.segment) as machine:
        ticket = issue_ticket(control_plane, machine, "worker") | {"ca_hash": "sha256:" + 64 * "0"}
        write_ticket(machine, ticket)
        command = machine.agent("join", machine.name, "worker", machine.mesh_address, str(machine.ticket))
        machine.cut_power_at("cluster-info: expected the authority of the ticket", *command)


def test_an_image_with_other_programs_is_refused(control_plane: Machine, tmp_path: Path) -> None:
    with Machine("worker-1", 22, tmp_path, control_plane.segment) as machine:
        write_ticket(machine, issue_ticket(control_plane, machine, "worker") | {"version": "v1.35.8"})
        command = machine.agent("join", machine.name, "worker", machine.mesh_address, str(machine.ticket))
        assert "kubelet: expected 1.35.8" in machine.complaint(*command)
        assert not (machine.disk / "etc/kubernetes/constellation").exists()
