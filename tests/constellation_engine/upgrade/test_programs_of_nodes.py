# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Which programs nodes must bring: the cluster's facts name the list of the image that its machines boot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ConfigMap

from constellation_core import cluster_facts
from constellation_core.cluster_facts import ClusterFacts
from constellation_core.component_list import Component, ComponentList
from constellation_core.names import NAMESPACE
from constellation_engine.cluster.programs import use_programs
from constellation_engine.errors import ObjectNotFoundError
from constellation_services.join.facts import Facts

if TYPE_CHECKING:
    from lightkube import Client

    from constellation_engine.testing.control_plane import ControlPlane

OLD = ComponentList((Component("kubelet", "1.36.4", "a1" * 32),))
NEW = ComponentList((Component("kubelet", "1.36.4", "b2" * 32),))
FACTS = ClusterFacts(
    name="mini",
    endpoint="10.213.0.1:6443",
    measurement_salt=bytes(32),
    kubernetes_version="v1.36.4",
    components=OLD.object_name,
)


@pytest.fixture
def client(clean_cluster: ControlPlane) -> Client:
    return clean_cluster.client()


def write(client: Client, name: str, data: dict[str, str]) -> None:
    client.create(ConfigMap(metadata=ObjectMeta(name=name, namespace=NAMESPACE), data=data))


def names(client: Client) -> list[str]:
    return [one.metadata.name or "" for one in client.list(ConfigMap, namespace=NAMESPACE) if one.metadata]


def of_join_service(client: Client) -> tuple[ClusterFacts, ComponentList]:
    """What the join service makes of it."""
    facts = Facts()
    facts.take({one.metadata.name or "": one for one in client.list(ConfigMap, namespace=NAMESPACE) if one.metadata})
    return facts.current()


def test_a_new_list_is_there_and_named(client: Client) -> None:
    write(client, OLD.object_name, OLD.data)
    write(client, cluster_facts.OBJECT_NAME, {cluster_facts.DATA_KEY: FACTS.to_yaml()})
    for _ in range(2):
        use_programs(client, NEW)
        facts, programs = of_join_service(client)
        assert (facts.components, programs) == (NEW.object_name, NEW)
        assert facts.measurement_salt == FACTS.measurement_salt
    use_programs(client, OLD)
    assert of_join_service(client)[1] == OLD


def test_the_same_list_is_not_written_again(client: Client) -> None:
    write(client, cluster_facts.OBJECT_NAME, {cluster_facts.DATA_KEY: FACTS.to_yaml()})
    use_programs(client, OLD)
    assert [name for name in names(client) if name.startswith("components-")] == []


def test_what_is_no_cluster_of_ours_is_left_alone(client: Client) -> None:
    with pytest.raises(ObjectNotFoundError):
        use_programs(client, NEW)
