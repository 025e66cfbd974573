# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What holds of every pod that we describe, on every platform; and that the program understands its arguments."""

from __future__ import annotations

import importlib
import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from lightkube.resources.apps_v1 import DaemonSet

from attestation.variant import Technology, Variant
from constellation_core.errors import ConfigError
from constellation_engine.cluster.manifests import manifests
from constellation_engine.cluster.manifests.evidence import RUNTIME_CLASS
from constellation_engine.cluster.manifests.names import Service
from constellation_engine.cluster.manifests.pods import CONTROL_PLANE, GRACE, USER

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

IMAGE: Final = "constellation-services@sha256:" + 64 * "a"
BOTH_SIDES_ATTEST: Final = (Service.JOIN, Service.VERIFY)


def daemon_sets(variant: Variant) -> Iterator[dict[str, Any]]:
    return (item.to_dict() for item in manifests(image=IMAGE, variant=variant) if isinstance(item, DaemonSet))


def pod_of(service: Service, variant: Variant = Variant.QEMU_VTPM) -> dict[str, Any]:
    found = {item["metadata"]["name"]: item["spec"]["template"]["spec"] for item in daemon_sets(variant)}
    pod: dict[str, Any] = found[service]
    return pod


@pytest.fixture(params=list(itertools.product(Service, Variant)), ids=lambda both: "-".join(map(str, both)))
def pod(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Each pod on each platform."""
    return pod_of(*request.param)


@pytest.fixture
def container(pod: dict[str, Any]) -> dict[str, Any]:
    """Its only container."""
    found: dict[str, Any]
    (found,) = pod.get("initContainers", []) + pod["containers"]
    return found


def test_nothing_is_allowed_that_is_not_needed(container: dict[str, Any]) -> None:
    deletes_files_of_others = {"add": ["DAC_OVERRIDE", "FOWNER"]} if container["name"] == Service.STORAGE else {}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"], **deletes_files_of_others},
        "privileged": False,
        "readOnlyRootFilesystem": True,
    }


def test_the_seccomp_profile_is_the_runtimes(pod: dict[str, Any]) -> None:
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}


@pytest.mark.parametrize("shared", ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"])
def test_nothing_of_the_host_is_shared(pod: dict[str, Any], shared: str) -> None:
    assert shared not in pod


def test_the_image_is_named_by_its_digest(container: dict[str, Any]) -> None:
    assert container["image"] == IMAGE


def test_a_mount_is_read_only_or_how_a_quote_is_asked_for(container: dict[str, Any]) -> None:
    writable = [mount["mountPath"] for mount in container.get("volumeMounts", ()) if not mount.get("readOnly")]
    assert writable in (["/run/state/volumes"] if container["name"] == Service.STORAGE else [], ["/sys/kernel/config"])


def test_a_missing_path_of_the_host_is_not_made_up(pod: dict[str, Any]) -> None:
    kinds = [volume["hostPath"]["type"] for volume in pod.get("volumes", ()) if "hostPath" in volume]
    assert set(kinds) <= {"Directory", "File", "DirectoryOrCreate"}
    created = [volume["hostPath"]["path"] for volume in pod.get("volumes", ()) if "Create" in str(volume)]
    assert set(created) <= {"/run/constellation/image", "/run/state/volumes"}


def test_it_runs_before_other_pods_whatever_its_node_is_tainted_with(pod: dict[str, Any]) -> None:
    assert pod["priorityClassName"] == "system-node-critical"
    assert pod["tolerations"] == [{"operator": "Exists"}]


def test_memory_is_bounded_and_the_processor_is_not(container: dict[str, Any]) -> None:
    assert container["resources"]["limits"].keys() == {"memory"}
    assert container["resources"]["requests"].keys() == {"cpu", "memory"}


def test_it_is_asked_whether_it_is_well(container: dict[str, Any]) -> None:
    asked = {name: probe["httpGet"] for name, probe in container.items() if name.endswith("Probe")}
    assert asked == {
        "startupProbe": {"path": "/readyz", "port": "status"},
        "readinessProbe": {"path": "/readyz", "port": "status"},
        "livenessProbe": {"path": "/healthz", "port": "status"},
    }


@pytest.mark.parametrize("variant", Variant, ids=str)
def test_an_update_starts_the_new_before_it_ends_the_old(variant: Variant) -> None:
    strategies = [item["spec"]["updateStrategy"] for item in daemon_sets(variant)]
    assert strategies == 4 * [{"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}]


@pytest.mark.parametrize("variant", Variant, ids=str)
def test_who_is_root(variant: Variant) -> None:
    """Who reads keys of mode 0600, and who writes to configfs; nobody else."""
    root = {service for service in Service if pod_of(service, variant)["securityContext"]["runAsUser"] == 0}
    by_configfs = variant in {Variant.QEMU_TDX, Variant.GCP_TDX}
    assert root == {Service.JOIN, Service.KEYS, Service.STORAGE} | ({Service.VERIFY} if by_configfs else set())


def test_who_is_not_root_is_the_images_user_and_kept_so() -> None:
    context = pod_of(Service.VERIFY)["securityContext"]
    assert (context["runAsUser"], context["runAsGroup"], context["runAsNonRoot"]) == (USER, USER, True)


@pytest.mark.parametrize("service", BOTH_SIDES_ATTEST)
@pytest.mark.parametrize("variant", Variant.with_technology(Technology.TPM), ids=str)
def test_the_tpm_comes_by_the_runtime_class(service: Service, variant: Variant) -> None:
    pod = pod_of(service, variant)
    assert pod["runtimeClassName"] == RUNTIME_CLASS
    assert pod["securityContext"]["supplementalGroups"] == [0]
    assert "/dev" not in str(pod["volumes"])


@pytest.mark.parametrize("variant", Variant, ids=str)
def test_the_key_service_gets_no_devices(variant: Variant) -> None:
    assert "runtimeClassName" not in pod_of(Service.KEYS, variant)


def test_the_key_service_sees_of_the_host_only_the_clusters_authority() -> None:
    volumes = [volume["hostPath"] for volume in pod_of(Service.KEYS)["volumes"] if "hostPath" in volume]
    assert {volume["path"] for volume in volumes} == {"/etc/kubernetes/pki/ca.crt", "/etc/kubernetes/pki/ca.key"}


@pytest.mark.parametrize("service", Service)
def test_who_calls_the_api_server_has_a_token_for_it(service: Service) -> None:
    assert pod_of(service)["automountServiceAccountToken"] is (service is not Service.VERIFY)


def test_the_join_service_has_a_token_for_the_key_service_alone() -> None:
    (volume,) = [volume for volume in pod_of(Service.JOIN)["volumes"] if "projected" in volume]
    (source,) = volume["projected"]["sources"]
    assert source["serviceAccountToken"]["audience"] == "constellation-keys"
    assert volume["projected"]["defaultMode"] == 0o400


@pytest.mark.parametrize("service", Service)
def test_control_planes_let_in_and_every_node_proves_itself_and_has_a_disk(service: Service) -> None:
    assert (CONTROL_PLANE in pod_of(service)["nodeSelector"]) is (service in {Service.JOIN, Service.KEYS})


@pytest.mark.parametrize(
    "image",
    [
        "constellation-services",
        "constellation-services:latest",
        "constellation-services:v1@sha256:" + 63 * "a",
        "@sha256:" + 64 * "a",
        "constellation-services@sha256:" + 64 * "A",
        f"{IMAGE}\n",
        f" {IMAGE}",
    ],
)
def test_an_image_without_a_digest_is_refused(image: str) -> None:
    with pytest.raises(ConfigError, match="expected a name with a digest"):
        manifests(image=image, variant=Variant.QEMU_VTPM)


@pytest.mark.parametrize("image", [IMAGE, f"registry.example:5000/some_where/{IMAGE}", IMAGE.replace("@", ":v1.2@")])
def test_a_digest_may_have_any_name_before_it(image: str) -> None:
    assert image in str([item.to_dict() for item in manifests(image=image, variant=Variant.QEMU_VTPM)])


def options_of(service: Service) -> Namespace:
    """Read the arguments of a pod as the program does."""
    program = importlib.import_module("constellation_services.main")
    (container,) = pod_of(service)["containers"]
    name, *arguments = container["args"]
    module = importlib.import_module(f"constellation_services.{name}.service")
    options: Namespace = program._parser(name, module).parse_args(arguments)
    return options


@pytest.mark.parametrize("service", Service)
def test_the_program_understands_its_arguments_and_has_time_to_drain(service: Service) -> None:
    options = options_of(service)
    (container,) = pod_of(service)["containers"]
    name = container["args"][0]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    http = {"http": options.http_port} if service is Service.VERIFY else {}
    served = {name: options.port} if service is not Service.STORAGE else {}
    assert {"status": options.status_port, **served, **http} == ports
    assert 2 * getattr(options, "grace", 0) < GRACE


PATHS: Final = {
    Service.JOIN: ("kubernetes", "key_service_token", "manifest"),
    Service.KEYS: ("key_material",),
    Service.VERIFY: ("manifest", "cluster_id"),
    Service.STORAGE: ("folder",),
}
"""Options that name what the host or the cluster brings."""


@pytest.mark.parametrize("service, option", [(service, option) for service in Service for option in PATHS[service]])
def test_the_program_looks_where_things_are_mounted(service: Service, option: str) -> None:
    path = vars(options_of(service))[option]
    (container,) = pod_of(service)["containers"]
    mounted = {Path(mount["mountPath"]) for mount in container["volumeMounts"]}
    assert mounted & {path, *path.parents}
