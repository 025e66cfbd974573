# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A bundle for whoever helps: what happened on the machines and in the cluster, and no secret.

with Bundle.create(Path("support.tar.gz"), Redactor(known_secrets(workspace))) as bundle:
    for part in workspace_parts(workspace):
        bundle.add(part)
bundle.problems  # what could not be collected
"""

from constellation_engine.support.bundle import Bundle, Part
from constellation_engine.support.from_cluster import cluster_parts, read_pods
from constellation_engine.support.from_workspace import known_secrets, workspace_parts
from constellation_engine.support.redaction import Redactor

__all__ = ["Bundle", "Part", "Redactor", "cluster_parts", "known_secrets", "read_pods", "workspace_parts"]
