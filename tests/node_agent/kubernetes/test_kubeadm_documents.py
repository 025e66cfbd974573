# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What kubeadm is told, as people would read it; and that every kubeadm we support understands it."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from constellation_core.keys.secret import Secret
from constellation_engine.components import Store
from node_agent.kubernetes.kubeadm_config import (
    cluster_configuration,
    init_documents,
    join_documents,
    kubelet_configuration,
    proxy_configuration,
)
from node_agent.kubernetes.paths import DISCOVERY
from node_agent.kubernetes.patience import Patience
from tests.node_agent.kubernetes.plans import cluster_plan, join_plan

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = Secret(b"abcdef.0123456789abcdef")
BUILDING = pytest.mark.timeout(1800)  # where nobody has built these programs yet
VERSIONS = ["1.36.4", *(pytest.param(version, marks=pytest.mark.slow) for version in ("1.35.8", "1.34.10"))]


def init(version: str = "v1.36.4", patience: Patience = Patience.REAL) -> dict[str, Any]:
    text = init_documents(cluster_plan(version), token=TOKEN, patience=patience)
    return {document["kind"]: document for document in yaml.safe_load_all(text)}


def arguments(part: dict[str, Any]) -> dict[str, str]:
    return {argument["name"]: argument["value"] for argument in part["extraArgs"]}


def test_init_says_which_node_this_is() -> None:
    document = init()["InitConfiguration"]
    del document["timeouts"]
    assert document == {
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "InitConfiguration",
        "bootstrapTokens": [{"token": "abcdef.0123456789abcdef", "ttl": "1s"}],
        "localAPIEndpoint": {"advertiseAddress": "10.213.1.0", "bindPort": 6443},
        "nodeRegistration": {
            "name": "control-plane-0",
            "criSocket": "unix:///run/containerd/containerd.sock",
            "imagePullPolicy": "Never",
            "kubeletExtraArgs": [{"name": "node-ip", "value": "10.213.1.0"}],
        },
        "patches": {"directory": "/usr/lib/constellation/kubernetes/patches"},
    }


def test_the_cluster_is_the_plans() -> None:
    document = cluster_configuration(cluster_plan(), Patience.REAL)
    assert document["clusterName"] == "mini"
    assert document["controlPlaneEndpoint"] == "10.99.0.1:6443"
    assert document["networking"] == {"podSubnet": "10.244.0.0/16", "serviceSubnet": "10.96.0.0/12"}
    assert document["apiServer"]["certSANs"] == ["mini.example.org", "10.99.0.1", "localhost", "127.0.0.1"]


@pytest.mark.parametrize("part", ["apiServer", "controllerManager", "scheduler"])
def test_nobody_profiles_and_nobody_speaks_old_tls(part: str) -> None:
    found = arguments(cluster_configuration(cluster_plan(), Patience.REAL)[part])
    assert (found["profiling"], found["tls-min-version"]) == ("false", "VersionTLS13")


def test_the_api_server_writes_down_and_encrypts() -> None:
    found = arguments(cluster_configuration(cluster_plan(), Patience.REAL)["apiServer"])
    assert found["encryption-provider-config"] == "/etc/kubernetes/encryption-configuration.yaml"
    assert found["audit-log-path"] == "/var/log/kubernetes/audit.log"
    assert "NodeRestriction" in found["enable-admission-plugins"]


def test_files_that_the_api_server_is_told_of_are_mounted_into_it() -> None:
    part = cluster_configuration(cluster_plan(), Patience.REAL)["apiServer"]
    mounted = [volume["mountPath"] for volume in part["extraVolumes"]]
    paths = [value for value in arguments(part).values() if value.startswith("/")]
    assert [path for path in paths if not any(path.startswith(mount) for mount in mounted)] == []


def test_the_kubelet_answers_nobody_without_a_name() -> None:
    found = kubelet_configuration(Patience.REAL)
    assert found["authentication"]["anonymous"] == {"enabled": False}
    assert found["authorization"] == {"mode": "Webhook"}
    assert found["readOnlyPort"] == 0
    assert found["protectKernelDefaults"]
    assert found["rotateCertificates"]


def test_kube_proxy_speaks_nftables_at_all_addresses() -> None:
    assert proxy_configuration()["mode"] == "nftables"
    assert proxy_configuration()["nodePortAddresses"] == ["0.0.0.0/0"]


def test_the_kernel_has_what_the_kubelet_demands(repository: Path) -> None:
    """kubelet, `protectKernelDefaults`: pkg/util/sysctl of Kubernetes."""
    text = (repository / "images/node/mkosi.extra/usr/lib/sysctl.d/90-kubernetes.conf").read_text(encoding="utf-8")
    set_here = dict(line.replace(" ", "").split("=") for line in text.splitlines() if "=" in line and line[0] != "#")
    demanded = {
        "vm.overcommit_memory": "1",
        "vm.panic_on_oom": "0",
        "kernel.panic": "10",
        "kernel.panic_on_oops": "1",
        "kernel.keys.root_maxkeys": "1000000",
        "kernel.keys.root_maxbytes": "25000000",
    }
    assert demanded.items() <= set_here.items()


def test_a_worker_shows_its_certificate_and_has_no_token() -> None:
    document = yaml.safe_load(join_documents(join_plan(), patience=Patience.REAL))
    assert document["discovery"] == {"file": {"kubeConfigPath": "/etc/kubernetes/constellation/discovery.conf"}}
    assert "controlPlane" not in document


def test_a_control_plane_listens_in_the_mesh() -> None:
    document = yaml.safe_load(join_documents(join_plan(control_plane=True), patience=Patience.REAL))
    assert document["controlPlane"]["localAPIEndpoint"]["advertiseAddress"] == "10.213.3.0"


def test_an_emulated_machine_is_waited_for() -> None:
    real, emulated = (init(patience=patience)["InitConfiguration"]["timeouts"] for patience in Patience)
    seconds = {name: (int(real[name][:-1]), int(emulated[name][:-1])) for name in real}
    assert all(slow == 6 * fast for fast, slow in seconds.values())


def test_etcd_of_an_emulated_machine_may_take_longer() -> None:
    real, emulated = (
        {one["name"] for one in init(patience=patience)["ClusterConfiguration"]["apiServer"]["extraArgs"]}
        for patience in Patience
    )
    assert emulated - real == {"etcd-healthcheck-timeout", "etcd-readycheck-timeout"}


@pytest.mark.parametrize(
    "processors, patience",
    [
        ("model name\t: QEMU TCG CPU version 2.5+\n", Patience.EMULATED),
        ("model name\t: AMD EPYC-v4 Processor\n", Patience.REAL),
        ("", Patience.REAL),
    ],
)
def test_how_slow_a_machine_is_stands_in_cpuinfo(processors: str, patience: Patience) -> None:
    assert Patience.of(processors) is patience


@BUILDING
@pytest.mark.parametrize("patience", Patience)
@pytest.mark.parametrize("version", VERSIONS)
def test_every_kubeadm_takes_it(version: str, patience: Patience, tmp_path: Path) -> None:
    kubeadm = Store().fetch(["kubeadm"], kubernetes=version)["kubeadm"]
    texts = {
        "init": init_documents(cluster_plan(f"v{version}"), token=TOKEN, patience=patience),
        "worker": join_documents(join_plan(), patience=patience),
        "control-plane": join_documents(join_plan(control_plane=True), patience=patience),
    }
    for name, text in texts.items():
        file = tmp_path / f"{name}.yaml"
        file.write_text(text.replace(str(DISCOVERY), str(file)), encoding="utf-8")  # it looks whether there is one
        said = subprocess.run(
            [kubeadm, "config", "validate", f"--config={file}"], check=False, capture_output=True, text=True
        )
        assert (said.returncode, said.stdout.strip()) == (0, "ok"), said.stderr


@BUILDING
@pytest.mark.skipif(os.geteuid() != 0, reason="the kubelet runs as root only")
@pytest.mark.parametrize("version", VERSIONS)
def test_every_kubelet_takes_it(version: str, tmp_path: Path) -> None:
    """It gets as far as containerd, which is not there: what it does not understand, it complains about before."""
    configuration = kubelet_configuration(Patience.REAL) | {"containerRuntimeEndpoint": "unix:///nowhere"}
    configuration["failCgroupV1"] = False  # this machine is none of our nodes
    configuration["authorization"] = {"mode": "AlwaysAllow"}  # nobody to ask
    configuration["authentication"] = {"anonymous": {"enabled": False}, "webhook": {"enabled": False}}
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(configuration), encoding="utf-8")
    kubelet = Store().fetch(["kubelet"], kubernetes=version)["kubelet"]
    command = [str(kubelet), f"--config={file}", f"--root-dir={tmp_path}", f"--cert-dir={tmp_path}"]
    said = subprocess.run(command, check=False, capture_output=True, text=True, timeout=50)
    assert 'endpoint \\"unix:///nowhere\\"' in said.stderr.splitlines()[-1]


def test_the_token_is_in_nobodys_log() -> None:
    assert "0123456789abcdef" not in repr(cluster_plan())
    assert "<secret>" in repr(TOKEN)
