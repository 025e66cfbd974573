# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation components fetch`: get programs with their pinned hashes."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from constellation_cli.components.words import VERSION, CacheFolder, Kubernetes, Names, Only
from constellation_cli.output import Output, OutputFormat, Table, emit

DEFAULT_TIMEOUT: Final = 3600.0  # seconds; to build all of one version takes ten minutes on two cores
EXAMPLES: Final = (
    "constellation components fetch",
    "constellation components fetch etcd kube-apiserver kubectl",
    "constellation components fetch --kubernetes 1.35 --only build -o json",
)


def fetch_components(
    names: Names = None,
    kubernetes: Kubernetes = None,
    only: Only = None,
    offline: Annotated[bool, typer.Option("--offline", help="Use what the cache has; ask nobody.")] = False,
    timeout: Annotated[float, typer.Option(min=1, metavar="SECONDS", help="Give up after this time.")] = (
        DEFAULT_TIMEOUT
    ),
    cache: CacheFolder = None,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Get components, and show where they are.

    What the cache has is used as it is, if it has the pinned hash. The rest is downloaded where its project has
    published a hash that is pinned here, and otherwise built: that needs Go and its modules, and takes ten minutes for
    all of one version on two cores. What was downloaded or compiled before an interruption is not lost.
    """
    from constellation_cli.components.reporter import showing_progress
    from constellation_engine.components import Store

    store = Store(cache)
    version = store.manifest.version(kubernetes or "")
    with showing_progress() as report:
        found = store.fetch(names or (), kubernetes=version, only=only, offline=offline, timeout=timeout, report=report)
    paths = {name: str(path) for name, path in found.items()}
    record = {"version": VERSION, "kubernetes": version, "paths": paths}
    emit(output, record, lambda: [Table("", tuple(paths.items()))])
