# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The component store: from the name of a program to a file with the pinned hash."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import TYPE_CHECKING, Final

from constellation_engine.components.cache import Cache, default_root, sha256_of
from constellation_engine.components.component import Origin
from constellation_engine.components.manifest import our_manifest
from constellation_engine.components.obtain import Obtainer
from constellation_engine.components.watch import Watch
from constellation_engine.errors import CacheError, NotCachedError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from constellation_engine.components.component import Component
    from constellation_engine.components.manifest import Manifest
    from constellation_engine.components.watch import Progress, Report

DEFAULT_TIMEOUT: Final = 3600.0  # seconds; to build all of one version takes about ten minutes on two cores
MAX_WORKERS: Final = 4  # a build uses all cores by itself; its last step, linking, uses one and up to 2 GiB


class State(StrEnum):
    """What the cache has of a program."""

    INTACT = "intact"
    DAMAGED = "damaged"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Check:
    """What the cache has of a program.

    Attributes:
        component: the program.
        state: in one word.
        origin: where it came from; None where it is absent.
        path: where it is; None where it is absent.
        expected: SHA-256 that it must have, hexadecimal; empty where nothing in the cache can tell.
        got: SHA-256 that it has; empty where it is absent.
    """

    component: Component
    state: State
    origin: Origin | None = None
    path: Path | None = None
    expected: str = ""
    got: str = ""


def _say_nothing(_progress: Progress) -> None:
    pass


class Store:
    """Programs of a cluster, by name.

    Args:
        root: folder of the cache; default: $CONSTELLATION_COMPONENTS, else below $XDG_CACHE_HOME.
        manifest: which programs there are; default: ours.
    """

    def __init__(self, root: Path | None = None, manifest: Manifest | None = None) -> None:
        self.root = root or default_root()
        self.manifest = manifest or our_manifest()
        self._cache = Cache(self.root)

    def path(self, name: str, *, kubernetes: str = "") -> Path:
        """Give the place of a program in the cache. Its content is not looked at: `fetch` and `check` do that.

        Args:
            name: of the component.
            kubernetes: version of Kubernetes, `1.36` or `1.36.4`; empty for the newest.

        Raises:
            UnknownComponentError: there is no such component or version.
            NotCachedError: the cache does not have it.
        """
        (component,) = self.manifest.select([name], kubernetes)
        for origin in component.origins:
            if (place := self._cache.program(component, origin)).is_file():
                return place
        raise NotCachedError(
            f"{component.title}: expected in {self.root}, is not there",
            hint=f"run: constellation components fetch {name}" + (f" --kubernetes {kubernetes}" if kubernetes else ""),
        )

    def fetch(
        self,
        names: Collection[str] = (),
        *,
        kubernetes: str = "",
        only: Origin | None = None,
        offline: bool = False,
        timeout: float = DEFAULT_TIMEOUT,
        report: Report = _say_nothing,
    ) -> dict[str, Path]:
        """Give programs with their pinned hashes, and get those that the cache does not have.

        Releases are fetched side by side, the programs of one release one after the other: they share most of their
        packages, which Go then compiles once. Several processes may do this at once.

        Args:
            names: of components; none: all of this version of Kubernetes.
            kubernetes: as in `path`.
            only: take nothing from elsewhere. What must be the same on every machine needs `Origin.BUILD`.
            offline: use what the cache has, and nothing else.
            timeout: seconds.
            report: is told of every step, from several threads, one at a time.

        Returns:
            Name of each component → its place.

        Raises:
            ComponentError: one of them cannot be had. What has come by then stays in the cache.
        """
        components = self.manifest.select(names, kubernetes)
        watch = Watch(timeout, report)
        obtainer = Obtainer(self._cache, watch, [only] if only else list(Origin), offline=offline)

        def obtain_all(release: Iterable[Component]) -> dict[str, Path]:
            return {component.name: obtainer.obtain(component) for component in release}

        releases = [list(release) for _, release in groupby(components, key=lambda component: component.release)]
        with ThreadPoolExecutor(min(MAX_WORKERS, os.cpu_count() or 1)) as pool:
            tasks = [pool.submit(obtain_all, release) for release in releases]
            try:
                finished = [task.result() for task in as_completed(tasks)]
            except BaseException as error:  # an interruption by the user, too, has to end the compilers
                watch.call_off()
                pool.shutdown(cancel_futures=True)
                if isinstance(error, OSError):
                    raise self._unusable(error) from error
                raise
        found = {name: path for paths in finished for name, path in paths.items()}
        return {component.name: found[component.name] for component in components}

    def check(self, names: Collection[str] = (), *, kubernetes: str = "") -> tuple[Check, ...]:
        """Compare the content of the cache with the pinned hashes.

        Args:
            names: as in `fetch`.
            kubernetes: as in `path`.

        Raises:
            UnknownComponentError: there is no such component or version.
            CacheError: a file cannot be read.
        """
        try:
            return tuple(map(self._check, self.manifest.select(names, kubernetes)))
        except OSError as error:
            raise self._unusable(error) from error

    def _check(self, component: Component) -> Check:
        for origin in component.origins:
            place = self._cache.program(component, origin)
            if place.is_file():
                expected, got = self._cache.expected(component, origin) or "", sha256_of(place)
                state = State.INTACT if got == expected else State.DAMAGED
                return Check(component, state, origin, place, expected, got)
        return Check(component, State.ABSENT)

    def _unusable(self, error: OSError) -> CacheError:
        return CacheError(
            f"{error.filename or self.root}: cannot be used as a cache: {error.strerror or error}",
            hint="name another folder: CONSTELLATION_COMPONENTS, or --cache",
        )
