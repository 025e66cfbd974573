# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Where Debian packages come from: the mirrors of this machine's own apt, whatever its release.

Who builds needs no trust in a mirror: packages are pinned by their hash. Who writes the list anew does: then apt checks
the archive's signatures, with folders of its own, so that neither root nor the machine's state is involved.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from constellation_engine.components.cache import Cache, default_root, sha256_of
from constellation_engine.components.component import Download
from constellation_engine.components.download import download
from constellation_engine.components.watch import Stage
from constellation_engine.debian.packages import ARCHITECTURE, RELEASE, Archive, Package
from constellation_engine.errors import DownloadError, ImageBuildError
from constellation_engine.whole_files import whole_file

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from constellation_engine.components.watch import Watch

Mirrors = dict[Archive, str]
"""Archive → its address, without a slash at the end."""

KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_SUITES: Final = {
    f"{RELEASE}": Archive.MAIN,
    f"{RELEASE}-updates": Archive.MAIN,
    f"{RELEASE}-security": Archive.SECURITY,
}
_FOUND: Final = re.compile(r"'(?P<url>[^']+)' (?P<file>\S+) (?P<size>\d+) SHA256:(?P<sha256>[0-9a-f]{64})")
_GONE: Final = "mirrors drop old versions: run `constellation services lock`, or name a snapshot by --mirror"
_NO_APT: Final = "on a system without apt, name mirrors: --mirror URL --security-mirror URL"


def machine_mirrors() -> Mirrors:
    """Give the mirrors that apt uses on this machine.

    Raises:
        ImageBuildError: there is no apt, or it knows none.
    """
    command = ("apt-get", "indextargets", "--no-release-info", "--format", "$(RELEASE) $(SITE)", "Identifier: Packages")
    lines = [line.split() for line in _run(command, dict(os.environ)).splitlines()]
    sites = {
        (Archive.SECURITY if release.endswith("-security") else Archive.MAIN): site.rstrip("/")
        for release, site in (line for line in lines if len(line) == len(("release", "site")))
    }
    if missing := [archive.value for archive in Archive if archive not in sites]:
        raise ImageBuildError(f"apt of this machine knows no mirror of {' or '.join(missing)}", hint=_NO_APT)
    return sites


def fetch(package: Package, mirrors: Mapping[Archive, str], watch: Watch, *, cache: Path | None = None) -> Path:
    """Give the place of a package in the cache; download it if it is not there.

    Args:
        package: which one.
        mirrors: where to get it.
        watch: is told how it goes.
        cache: folder; default: beside that of the components.

    Raises:
        DownloadError: the mirror does not have it any more, or does not answer.
        HashMismatchError: the mirror gave other bytes.
        GaveUpError: it took too long.
    """
    folder = Cache(cache or default_root().with_name("packages"))
    place = folder.archive(package.sha256)
    with folder.locked(package.name, watch, package.title):
        if place.is_file() and sha256_of(place) == package.sha256:
            watch.tell(package.title, Stage.CACHED)
            return place
        partial = folder.partial(package.sha256)
        source = Download(f"{mirrors[package.archive]}/{package.path}", package.sha256, member="")
        try:
            download(source, partial, watch, package.title)
        except DownloadError as error:
            raise DownloadError(str(error), hint=error.hint or _GONE) from None
        with whole_file(place, mode=0o644) as temporary:
            partial.replace(temporary)
    watch.tell(package.title, Stage.READY)
    return place


def newest(wanted: Collection[str], mirrors: Mapping[Archive, str], *, keyring: Path = KEYRING) -> tuple[Package, ...]:
    """Give the newest version of each wanted package, by an index that the archive signed.

    Args:
        wanted: names of packages.
        mirrors: where the index is.
        keyring: keys of the archive.

    Raises:
        ImageBuildError: there is no apt, it does not believe the index, or a package is missing.
    """
    with TemporaryDirectory(prefix="constellation-apt-") as folder:
        environment = {**os.environ, "APT_CONFIG": str(_configure(Path(folder), mirrors, keyring)), "LC_ALL": "C"}
        _run(("apt-get", "update", "--quiet", "--error-on=any"), environment)
        found = _run(("apt-get", "download", "--print-uris", *sorted(wanted)), environment)
    packages = [_package(match, mirrors) for match in _FOUND.finditer(found)]
    if sorted(package.name for package in packages) != sorted(wanted):
        raise ImageBuildError(f"expected {len(wanted)} packages of {RELEASE}, apt found {len(packages)}")
    return tuple(sorted(packages, key=lambda package: package.name))


def _configure(folder: Path, mirrors: Mapping[Archive, str], keyring: Path) -> Path:
    """Write a configuration of apt that reads and writes in one folder only."""
    for name in ("lists/partial", "archives/partial"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    sources = [f"deb [signed-by={keyring}] {mirrors[archive]} {suite} main\n" for suite, archive in _SUITES.items()]
    (folder / "sources.list").write_text("".join(sources), encoding="utf-8")
    settings = {
        "Dir::Etc::SourceList": folder / "sources.list",
        "Dir::Etc::SourceParts": "-",
        "Dir::Etc::Preferences": "-",
        "Dir::Etc::PreferencesParts": "-",
        "Dir::State": folder,
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder,
        "APT::Architecture": ARCHITECTURE,
        "APT::Architectures": ARCHITECTURE,
        "APT::Sandbox::User": "root" if os.geteuid() == 0 else "",  # the folder is nobody else's
        "Acquire::Languages": "none",
        "Acquire::Retries": "1",
    }
    configuration = folder / "apt.conf"
    configuration.write_text("".join(f'{name} "{value}";\n' for name, value in settings.items()), encoding="utf-8")
    return configuration


def _package(match: re.Match[str], mirrors: Mapping[Archive, str]) -> Package:
    # The longer address first: one may begin like the other.
    for archive, address in sorted(mirrors.items(), key=lambda item: -len(item[1])):
        if match["url"].startswith(f"{address}/"):
            name, version, _ = match["file"].split("_")
            path = match["url"].removeprefix(f"{address}/")
            return Package(name, unquote(version), archive, path, int(match["size"]), match["sha256"])
    raise ImageBuildError(f"apt names {match['url']}, which is at none of the mirrors")


def _run(command: Sequence[str], environment: Mapping[str, str]) -> str:
    try:
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=300)  # noqa: S603 - apt
    except FileNotFoundError:
        raise ImageBuildError(f"there is no {command[0]} on this machine", hint=_NO_APT) from None
    except subprocess.CalledProcessError as error:
        raise ImageBuildError(f"{' '.join(command[:2])} failed: {error.stderr.strip()[-2000:]}") from None
    except subprocess.TimeoutExpired:
        raise ImageBuildError(f"{' '.join(command[:2])} took more than 300 s") from None
    return done.stdout
