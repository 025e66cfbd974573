# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A cluster is up when its own pods run: one of a user's that never will does not keep it from being repaired."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lightkube.models.core_v1 import Container, PodSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Pod, ServiceAccount

from constellation_core.names import NAMESPACE
from constellation_engine.local_cluster.objects import pods_running
from constellation_engine.testing.service_accounts import create_if_missing

if TYPE_CHECKING:
    from constellation_engine.testing.control_plane import ControlPlane


def add_pod(cluster: ControlPlane, namespace: str) -> None:
    client = cluster.client()
    create_if_missing(client, ServiceAccount(metadata=ObjectMeta(name="default", namespace=namespace)))
    spec = PodSpec(containers=[Container(name="one", image="example.org/never@sha256:" + "0" * 64)])
    client.create(Pod(metadata=ObjectMeta(name="never", namespace=namespace), spec=spec))


def test_pods_of_the_cluster_are_waited_for(clean_cluster: ControlPlane) -> None:
    add_pod(clean_cluster, NAMESPACE)
    assert pods_running(clean_cluster.client()).check() == f"waiting for pods: {NAMESPACE}/never"


def test_pods_of_users_are_not(clean_cluster: ControlPlane) -> None:
    add_pod(clean_cluster, "default")
    assert pods_running(clean_cluster.client()).check() is None
