# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""An API server for tests that knows our kinds of objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2

from constellation_core.cluster_objects import JoinRequestObject, NodeIdentityObject
from constellation_core.conditions import Condition, wait_for
from constellation_engine.cluster.manifests.crds import custom_resource_definitions

if TYPE_CHECKING:
    from lightkube import Client


def serve_our_kinds(client: Client) -> None:
    """Define our kinds of objects, and wait until they are served: a moment after they are there.

    Args:
        client: of an administrator.

    Raises:
        ConditionTimeoutError: they are not within half a minute.
    """
    for definition in custom_resource_definitions():
        client.apply(definition, field_manager="constellation", force=True)

    def check() -> None:
        for kind in (NodeIdentityObject, JoinRequestObject):
            list(client.list(kind))

    wait_for([Condition("our kinds of objects are served", check, (httpx2.HTTPError,))], timeout=30)
