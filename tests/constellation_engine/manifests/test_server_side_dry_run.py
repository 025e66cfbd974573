# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A real API server accepts all objects, on every platform, without a warning."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Final

import pytest
import yaml
from lightkube.resources.core_v1 import ConfigMap

from attestation.variant import Variant
from constellation_core.names import NAMESPACE
from constellation_engine.cluster.manifests import manifests, render

if TYPE_CHECKING:
    from constellation_engine.testing.control_plane import ControlPlane

IMAGE: Final = "constellation-services@sha256:" + 64 * "b"


def apply(cluster: ControlPlane, documents: str, *options: str) -> list[str]:
    command = [str(cluster.kubectl), f"--kubeconfig={cluster.kubeconfig()}", "--warnings-as-errors", "apply"]
    command += ["--server-side", "--field-manager=constellation", "--filename=-", "--output=name", *options]
    return subprocess.run(command, input=documents, check=True, capture_output=True, text=True).stdout.splitlines()


@pytest.mark.parametrize("wraps_keys", [False, True])
@pytest.mark.parametrize("variant", Variant, ids=str)
def test_everything_is_accepted(cluster: ControlPlane, variant: Variant, wraps_keys: bool) -> None:
    client = cluster.client()
    for item in manifests(image=IMAGE, variant=variant, wraps_keys=wraps_keys):
        assert client.apply(item, field_manager="constellation", dry_run=True).kind == item.kind


def test_kubectl_has_no_warning(cluster: ControlPlane) -> None:
    objects = manifests(image=IMAGE, variant=Variant.AWS_SEV_SNP, wraps_keys=True)
    assert len(apply(cluster, render(objects), "--dry-run=server")) == len(objects)


def test_applying_again_changes_nothing(cluster: ControlPlane) -> None:
    documents = render(manifests(image=IMAGE, variant=Variant.QEMU_VTPM))
    apply(cluster, documents)
    before = daemon_sets(cluster)
    apply(cluster, documents)
    assert daemon_sets(cluster) == before


def daemon_sets(cluster: ControlPlane) -> str:
    command = [str(cluster.kubectl), f"--kubeconfig={cluster.kubeconfig()}", f"--namespace={NAMESPACE}", "get"]
    pattern = "jsonpath={.items[*].metadata.generation}"
    return subprocess.run([*command, "daemonsets", "-o", pattern], check=True, capture_output=True, text=True).stdout


def test_applying_again_keeps_the_history(cluster: ControlPlane) -> None:
    history = cluster.client().get(ConfigMap, "join-config-history", namespace=NAMESPACE)
    history.data = {"7": "policy: {}"}
    cluster.client().replace(history, field_manager="join-service")
    apply(cluster, render(manifests(image=IMAGE, variant=Variant.QEMU_VTPM)))
    assert cluster.client().get(ConfigMap, "join-config-history", namespace=NAMESPACE).data == {"7": "policy: {}"}


def test_the_text_is_that_of_the_objects() -> None:
    objects = manifests(image=IMAGE, variant=Variant.AZURE_TDX)
    assert list(yaml.safe_load_all(render(objects))) == [item.to_dict() for item in objects]


def test_no_two_objects_have_the_same_name() -> None:
    documents = [item.to_dict() for item in manifests(image=IMAGE, variant=Variant.QEMU_SNP, wraps_keys=True)]
    names = [(item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"]) for item in documents]
    assert len(set(names)) == len(names)
