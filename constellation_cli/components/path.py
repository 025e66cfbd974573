# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation components path`: where is this program?"""

from __future__ import annotations

from typing import Annotated, Final

import typer

from constellation_cli.components.words import VERSION, CacheFolder, Kubernetes, parse_component
from constellation_cli.output import Output, OutputFormat, Table, emit

EXAMPLES: Final = (
    "constellation components path kubectl",
    "constellation components path etcd kube-apiserver -o json",
)


def print_paths(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", parser=parse_component, help="Components.")],
    kubernetes: Kubernetes = None,
    cache: CacheFolder = None,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Print where components are, one a line; fail if one is not in the cache."""
    from constellation_engine.components import Store

    store = Store(cache)
    paths = {name: str(store.path(name, kubernetes=kubernetes or "")) for name in names}
    emit(output, {"version": VERSION, "paths": paths}, lambda: [Table("", tuple((path,) for path in paths.values()))])
