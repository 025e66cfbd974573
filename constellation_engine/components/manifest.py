# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Which programs a cluster is made of: `components/manifest.toml` as records.

The format is our own and is described at the head of that file. It lies in `components/` of the repository, and in
`modules/` beside this module where the package was installed from a wheel.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from constellation_engine.components.manifest_file import parse_components
from constellation_engine.errors import UnknownComponentError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from constellation_engine.components.component import Component

KUBERNETES: Final = "kubernetes"
"""Name of the releases that come in several versions."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """All components of all versions of Kubernetes."""

    components: tuple[Component, ...]

    @property
    def kubernetes(self) -> tuple[str, ...]:
        """The versions of Kubernetes, newest first; the first is the default."""
        return tuple(dict.fromkeys(entry.version for entry in self.components if entry.release == KUBERNETES))

    def version(self, wanted: str = "") -> str:
        """Give a full version of Kubernetes.

        Args:
            wanted: `1.36`, `1.36.4` or `v1.36.4`; empty for the default.

        Raises:
            UnknownComponentError: we have no such version.
        """
        bare = wanted.removeprefix("v")
        for version in self.kubernetes:
            if bare in {"", version, version.rpartition(".")[0]}:
                return version
        raise UnknownComponentError(
            f"there is no Kubernetes {wanted!r} here", hint=f"choose one of {', '.join(self.kubernetes)}"
        )

    def select(self, names: Collection[str] = (), kubernetes: str = "") -> tuple[Component, ...]:
        """Give components for one version of Kubernetes, in the manifest's order.

        Args:
            names: which; none means all.
            kubernetes: the version; empty for the default.

        Raises:
            UnknownComponentError: there is no such component or version.
        """
        version = self.version(kubernetes)
        known = [entry for entry in self.components if entry.release != KUBERNETES or entry.version == version]
        for name in names:
            _require(name, [entry.name for entry in known])
        return tuple(entry for entry in known if not names or entry.name in names)


def _require(name: str, known: Iterable[str]) -> None:
    known = list(known)
    if name in known:
        return
    close = get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"choose from {', '.join(known)}"
    raise UnknownComponentError(f"there is no component {name!r}", hint=hint)


def data_folder() -> Path:
    """Give the folder of the manifest and the Go module files."""
    package = Path(__file__).parent
    installed = package / "modules"
    return installed if installed.is_dir() else package.parents[1] / "components"


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest in a folder; folders of Go modules are beside it.

    Raises:
        ManifestError: it does not say what it must.
    """
    return Manifest(parse_components((folder / "manifest.toml").read_text(encoding="utf-8"), folder))


@cache
def our_manifest() -> Manifest:
    """Read the manifest that belongs to this code."""
    return read_manifest(data_folder())
