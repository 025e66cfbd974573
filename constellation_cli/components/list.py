# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation components list`: which programs is a cluster made of, and which are here?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from constellation_cli.components.words import VERSION, CacheFolder, Kubernetes
from constellation_cli.output import Output, OutputFormat, Table, emit

if TYPE_CHECKING:
    from constellation_engine.components import Component, Store

EXAMPLES: Final = (
    "constellation components list",
    "constellation components list --kubernetes 1.35 -o json | jq -r .components[].name",
)


def list_components(
    kubernetes: Kubernetes = None,
    cache: CacheFolder = None,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Show the components of one version of Kubernetes, where they can come from, and where they are."""
    from constellation_engine.components import Store

    store = Store(cache)
    version = store.manifest.version(kubernetes or "")
    components = [_describe(store, component, version) for component in store.manifest.select((), version)]
    supported = list(store.manifest.kubernetes)
    record = {"version": VERSION, "kubernetes": version, "supported": supported, "components": components}
    columns = ("component", "version", "from", "path")
    rows = tuple((entry["name"], entry["version"], ", ".join(entry["from"]), entry["path"]) for entry in components)
    emit(output, record, lambda: [Table(f"Kubernetes {version} (of {', '.join(supported)})", rows, columns)])


def _describe(store: Store, component: Component, kubernetes: str) -> dict[str, Any]:
    from constellation_engine.errors import NotCachedError

    try:
        path = str(store.path(component.name, kubernetes=kubernetes))
    except NotCachedError:
        path = ""
    return {"name": component.name, "version": component.version, "from": [*component.origins], "path": path}
