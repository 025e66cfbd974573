# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The component store: the programs that a cluster is made of, pinned by version and hash.

    from constellation_engine.components import Store

    programs = Store().fetch(["etcd", "kube-apiserver"], kubernetes="1.36")
    programs["etcd"]  # pathlib.Path

Which programs there are says `components/manifest.toml`; how they are got says `Store.fetch`; docs/components.md is
for users.
"""

from constellation_engine.components.component import Component, Download, Origin, Recipe
from constellation_engine.components.manifest import Manifest, our_manifest, read_manifest
from constellation_engine.components.store import Check, State, Store
from constellation_engine.components.watch import Progress, Report, Stage

__all__ = [
    "Check",
    "Component",
    "Download",
    "Manifest",
    "Origin",
    "Progress",
    "Recipe",
    "Report",
    "Stage",
    "State",
    "Store",
    "our_manifest",
    "read_manifest",
]
