# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The API server of our tests is a real one: who may do what, and what happens when its programs end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lightkube.resources.core_v1 import Namespace

if TYPE_CHECKING:
    from constellation_engine.testing.control_plane import ControlPlane


def test_administrator(clean_cluster: ControlPlane) -> None:
    assert "constellation-system" in [namespace.metadata.name for namespace in clean_cluster.client().list(Namespace)]
