# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Which programs nodes must bring to join a cluster: ConfigMap `components-<sha256>`, named by the cluster's facts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ConfigMap

from constellation_core.cluster_facts import DATA_KEY, OBJECT_NAME, ClusterFacts
from constellation_core.names import NAMESPACE
from constellation_engine.cluster.api import asking
from constellation_engine.cluster.client import FIELD_MANAGER

if TYPE_CHECKING:
    from lightkube import Client

    from constellation_core.component_list import ComponentList


def use_programs(client: Client, programs: ComponentList) -> None:
    """Let nodes that join bring these programs; those that are in the cluster keep theirs. Again, nothing changes.

    The list comes before the facts that name it, so that the join service never looks for one that is not there.

    Raises:
        ClusterError: the API server refuses, or does not answer.
        ConfigError: what the cluster says of itself cannot be read.
    """
    with asking(f"read ConfigMap {OBJECT_NAME}"):
        found = client.get(ConfigMap, OBJECT_NAME, namespace=NAMESPACE)
    facts = ClusterFacts.from_yaml((found.data or {}).get(DATA_KEY, ""))
    if facts.components == programs.object_name:
        return
    metadata = ObjectMeta(name=programs.object_name, namespace=NAMESPACE)
    with asking(f"write ConfigMap {programs.object_name}"):
        client.apply(ConfigMap(metadata=metadata, data=programs.data), field_manager=FIELD_MANAGER, force=True)
    found.data = {DATA_KEY: replace(facts, components=programs.object_name).to_yaml()}
    with asking(f"write ConfigMap {OBJECT_NAME}"):
        client.replace(found)  # refused where somebody else wrote meanwhile
