# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Find the very packages that an image was built from: in the cache, on a mirror, in an archive that forgets nothing.

Mirrors keep a version until the next one; a snapshot archive (https://snapshot.debian.org, or a copy of it) keeps all.
Two of its interfaces are asked: `/archive/ARCHIVE/TIME/`, which is an archive as it was, and, where no time is named,
the machine-readable one, which gives files by their SHA-1. Whatever answers: only bytes of the recorded SHA-256 count.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

from constellation_engine.components.cache import Cache, sha256_of
from constellation_engine.components.component import Download
from constellation_engine.components.download import download
from constellation_engine.components.watch import Stage, Watch
from constellation_engine.debian.packages import Archive
from constellation_engine.errors import DownloadError, HashMismatchError, NodeImageError
from constellation_engine.whole_files import whole_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from constellation_engine.components.watch import Report
    from constellation_engine.node_image.packages import DebianPackage

PUBLIC_SNAPSHOT: Final = "https://snapshot.debian.org"
DEFAULT_TIMEOUT: Final = 3600.0  # seconds
WORKERS: Final = 4  # downloads at once
_SILENCE: Final = 15.0  # seconds
_MAX_ANSWER: Final = 1 << 20  # bytes
_POOLS: Final = {Archive.MAIN: "pool/main", Archive.SECURITY: "pool/updates/main"}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An archive that keeps every version.

    Attributes:
        url: its address, without a slash at the end.
        time: which state of the archives; None: whatever has the version.
    """

    url: str
    time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Gathered:
    """What was found.

    Attributes:
        found: package → its file.
        missing: package → why it is no longer to be had, by source.
    """

    found: Mapping[DebianPackage, Path]
    missing: Mapping[DebianPackage, str]

    def require_all(self) -> Mapping[DebianPackage, Path]:
        """Give the files of all packages.

        Raises:
            NodeImageError: some are no longer to be had; names each.
        """
        if self.missing:
            lines = "".join(f"\n  {package.title}: {why}" for package, why in self.missing.items())
            total = len(self.found) + len(self.missing)
            raise NodeImageError(
                f"{len(self.missing)} of {total} packages are no longer to be had:{lines}",
                hint="name an archive that still has them: --snapshot URL, or put the files into the cache",
            )
        return self.found


def pool_path(package: DebianPackage, archive: Archive) -> str:
    """Give the path of a package in an archive: pool, first letters of the source, source, file."""
    source = package.source
    letters = source[:4] if source.startswith("lib") else source[:1]
    return f"{_POOLS[archive]}/{letters}/{source}/{quote(package.file_name)}"


def gather(
    packages: Iterable[DebianPackage],
    *,
    cache: Path,
    mirrors: Mapping[Archive, str],
    snapshot: Snapshot | None,
    report: Report,
    timeout: float = DEFAULT_TIMEOUT,
) -> Gathered:
    """Find packages: what the cache has is used, the rest is downloaded.

    Args:
        packages: which ones.
        cache: folder of packages, as that of `constellation_engine.debian.mirror.fetch`.
        mirrors: are asked first; may be none.
        snapshot: is asked for what they do not have; None: nobody is.
        report: is told how it goes.
        timeout: seconds.

    Raises:
        GaveUpError: it took too long. What was downloaded stays in the cache.
        NodeImageError: the cache cannot be written.
    """
    search = _Search(Cache(cache), mirrors, snapshot, Watch(timeout, report))
    wanted = list(packages)
    with ThreadPoolExecutor(WORKERS) as pool:
        try:
            results = list(pool.map(search.find, wanted))
        except BaseException as error:  # an interruption by the user, too, has to end what is under way
            search.watch.call_off()
            pool.shutdown(cancel_futures=True)
            if isinstance(error, OSError):
                raise NodeImageError(f"{cache} cannot be used as a cache: {error.strerror or error}") from None
            raise
    pairs = list(zip(wanted, results, strict=True))
    return Gathered(
        {package: result for package, result in pairs if not isinstance(result, str)},
        {package: result for package, result in pairs if isinstance(result, str)},
    )


@dataclass(frozen=True, slots=True)
class _Search:
    """Where to look."""

    cache: Cache
    mirrors: Mapping[Archive, str]
    snapshot: Snapshot | None
    watch: Watch

    def find(self, package: DebianPackage) -> Path | str:
        """Give the file, or why there is none."""
        place = self.cache.archive(package.sha256)
        with self.cache.locked(package.name, self.watch, package.title):
            if place.is_file() and sha256_of(place) == package.sha256:
                self.watch.tell(package.title, Stage.CACHED)
                return place
            reasons: list[str] = []
            for url in self._addresses(package, reasons):
                try:
                    return self._download(url, package, place)
                except (DownloadError, HashMismatchError) as error:
                    reasons.append(str(error))
        self.watch.tell(package.title, Stage.UNREACHABLE)
        return "; ".join(reasons) or "nobody may be asked"

    def _download(self, url: str, package: DebianPackage, place: Path) -> Path:
        partial = self.cache.partial(package.sha256)
        download(Download(url, package.sha256, member=""), partial, self.watch, package.title)
        with whole_file(place, mode=0o644) as temporary:
            partial.replace(temporary)
        self.watch.tell(package.title, Stage.READY)
        return place

    def _addresses(self, package: DebianPackage, reasons: list[str]) -> Iterator[str]:
        """Give where to try, one after the other; the next is only thought of when the one before failed."""
        for archive, url in self.mirrors.items():
            yield f"{url}/{pool_path(package, archive)}"
        if self.snapshot is None:
            return
        if self.snapshot.time is not None:
            time = self.snapshot.time.strftime("%Y%m%dT%H%M%SZ")
            for archive in Archive:
                yield f"{self.snapshot.url}/archive/{archive}/{time}/{pool_path(package, archive)}"
            return
        try:
            hashes = self._known_hashes(package)
        except DownloadError as error:
            reasons.append(str(error))
            return
        for sha1 in hashes:
            yield f"{self.snapshot.url}/file/{sha1}"

    def _known_hashes(self, package: DebianPackage) -> tuple[str, ...]:
        """Ask a snapshot archive for the SHA-1 of each file that it has of a package."""
        assert self.snapshot is not None  # noqa: S101 - for the reader of types
        version = quote(package.version, safe="")
        url = f"{self.snapshot.url}/mr/binary/{quote(package.name)}/{version}/binfiles"
        request = Request(url, headers={"User-Agent": "constellation"})  # noqa: S310 - http and https, by the user
        try:
            with urlopen(request, timeout=min(_SILENCE, self.watch.remaining(package.title))) as answer:  # noqa: S310
                record: Any = json.loads(answer.read(_MAX_ANSWER))
            files = [one for one in record["result"] if one["architecture"] == package.architecture]
            return tuple(_sha1(one["hash"]) for one in files)
        except URLError as error:
            raise DownloadError(f"{url}: {error.reason or error}") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DownloadError(f"{url}: expected a list of files, got something else: {error!r:.80}") from None


def _sha1(text: object) -> str:
    if not isinstance(text, str) or len(text) != 40 or not set(text) <= set("0123456789abcdef"):  # noqa: PLR2004
        message = f"{text!r:.60} is no SHA-1"
        raise ValueError(message)
    return text
