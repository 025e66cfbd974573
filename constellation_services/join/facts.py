# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What the service knows of its cluster: ConfigMap `cluster` and the list of programs that it names."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from constellation_core import cluster_facts
from constellation_core.cluster_facts import ClusterFacts
from constellation_core.component_list import ComponentList
from constellation_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

_LOG: Final = logging.getLogger(__name__)


class Facts:
    """Follows the ConfigMaps of the namespace. A version that cannot be used changes nothing."""

    def __init__(self) -> None:
        self._current: tuple[ClusterFacts, ComponentList] | None = None
        self.trouble = f"there is no ConfigMap {cluster_facts.OBJECT_NAME} yet"

    def take(self, objects: Mapping[str, Any]) -> None:
        """Take the ConfigMaps as they are now, by name."""
        try:
            facts = ClusterFacts.from_yaml(_data(objects, cluster_facts.OBJECT_NAME)[cluster_facts.DATA_KEY])
            programs = ComponentList.from_data(facts.components, _data(objects, facts.components))
        except (ConfigError, KeyError) as error:
            trouble = f"ConfigMap {cluster_facts.OBJECT_NAME}: {error}"
            if trouble != self.trouble:
                _LOG.warning("the facts of the cluster cannot be used, those before still hold: %s", trouble)
            self.trouble = trouble
            return
        self._current = facts, programs
        self.trouble = ""

    @property
    def missing(self) -> str | None:
        """Why nothing is known; None if something is."""
        return self.trouble if self._current is None else None

    def current(self) -> tuple[ClusterFacts, ComponentList]:
        """Give what is known.

        Raises:
            ConfigError: nothing is known yet.
        """
        if self._current is None:
            raise ConfigError(self.trouble)
        return self._current


def _data(objects: Mapping[str, Any], name: str) -> dict[str, str]:
    found = objects.get(name)
    if found is None:
        raise ConfigError(f"there is no ConfigMap {name}")
    return found.data or {}
