# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Get programs: from the cache, else as their project released them, else built from their sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from constellation_engine.components.archive import extract_member
from constellation_engine.components.build import build
from constellation_engine.components.cache import sha256_of
from constellation_engine.components.component import Origin
from constellation_engine.components.download import download
from constellation_engine.components.watch import Stage
from constellation_engine.errors import DownloadError, HashMismatchError, NotCachedError
from constellation_engine.whole_files import whole_file

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from constellation_engine.components.cache import Cache
    from constellation_engine.components.component import Component, Download
    from constellation_engine.components.watch import Watch

_PROGRAM: Final = 0o755
_DATA: Final = 0o644
_OTHER_BYTES: Final = (
    "our build gives the same bytes everywhere: use an unchanged Go toolchain, and an unchanged components folder"
)


class Obtainer:
    """Gets programs into a cache.

    Args:
        cache: the cache.
        watch: looks after all of them.
        accepted: origins that they may come from.
        offline: the cache must have them.
    """

    def __init__(self, cache: Cache, watch: Watch, accepted: Collection[Origin], *, offline: bool) -> None:
        self._cache = cache
        self._watch = watch
        self._accepted = accepted
        self._offline = offline
        self._silent: set[str] = set()  # servers that gave nothing: the next program is built without asking them

    def obtain(self, component: Component) -> Path:
        """Give the place of a program, which has the pinned hash.

        1. A whole file in the cache is used, and nobody is asked.
        2. One of all threads and processes goes on; the others wait, and then find the program in the cache.
        3. A file in the cache that has another hash is removed: a disk fails, or somebody changed it.
        4. The program is downloaded, if its hash was published and the server can be reached.
        5. Otherwise it is built.

        What comes of 4 and 5 gets into its place only if it has the pinned hash.

        Raises:
            ComponentError: it cannot be had; the subclass says why.
        """
        if path := self._find(component):  # 1
            self._watch.tell(component.title, Stage.CACHED)
            return path
        with self._cache.locked(f"{component.name}-{component.version}", self._watch, component.title):  # 2
            path = self._find(component) or self._get(component)
        self._watch.tell(component.title, Stage.READY)
        return path

    def _find(self, component: Component) -> Path | None:
        places = (self._cache.intact(component, origin) for origin in component.origins if origin in self._accepted)
        return next((place for place in places if place), None)

    def _get(self, component: Component) -> Path:
        self._remove_damaged(component)  # 3
        if self._offline:
            raise NotCachedError(
                f"{component.title}: expected in {self._cache.root}, is not there",
                hint=f"where there is a network: constellation components fetch {component.name}",
            )
        if Origin.BUILD not in self._accepted:
            return self._download(component)
        return self._try_download(component) or self._build(component)  # 4, 5

    def _try_download(self, component: Component) -> Path | None:
        source = component.download
        server = urlsplit(source.url).netloc if source else ""
        if not source or Origin.DOWNLOAD not in self._accepted or server in self._silent:
            return None
        try:
            return self._download(component)
        except DownloadError as error:
            self._silent.add(server)
            self._watch.tell(component.title, Stage.UNREACHABLE, str(error))
            return None

    def _remove_damaged(self, component: Component) -> None:
        for origin in component.origins:
            place, expected = self._cache.program(component, origin), self._cache.expected(component, origin)
            if expected and place.is_file() and (got := sha256_of(place)) != expected:
                detail = f"removed {place}: expected sha256 {expected}, got {got}"
                self._watch.tell(component.title, Stage.DAMAGED, detail)
                place.unlink()

    def _download(self, component: Component) -> Path:
        source = component.download
        if source is None:
            raise DownloadError(
                f"{component.title}: expected a published hash to download by, there is none", hint="build it instead"
            )
        target = self._cache.program(component, Origin.DOWNLOAD)
        if source.member:
            archive = self._archive(source, component.title)
            with whole_file(target, mode=_PROGRAM) as file:
                extract_member(archive, source.member, file)
        else:
            self._download_to(target, _PROGRAM, source, component.title)
        return target

    def _archive(self, source: Download, title: str) -> Path:
        """Give the place of an archive: the programs in it are fetched one by one, but it only once."""
        archive = self._cache.archive(source.sha256)
        with self._cache.locked(source.sha256, self._watch, title):
            if not archive.is_file() or sha256_of(archive) != source.sha256:
                self._download_to(archive, _DATA, source, title)
        return archive

    def _download_to(self, target: Path, mode: int, source: Download, title: str) -> None:
        partial = self._cache.partial(source.sha256)
        download(source, partial, self._watch, title)
        with whole_file(target, mode=mode) as file:
            partial.replace(file)

    def _build(self, component: Component) -> Path:
        self._watch.tell(component.title, Stage.BUILDING)
        recipe = component.recipe
        target = self._cache.program(component, Origin.BUILD)
        with whole_file(target, mode=_PROGRAM) as file:
            build(recipe, file, self._watch, component.title)
            if (got := sha256_of(file)) != recipe.sha256:
                what = f"{component.title}, built from {recipe.package} in {recipe.folder}"
                raise HashMismatchError(what, expected=recipe.sha256, got=got, hint=_OTHER_BYTES)
        return target
