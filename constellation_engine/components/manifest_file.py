# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Read `manifest.toml`. Its format is our own, schema 1, and is described at the head of the file.

Every text has a shape, none may be missing, and what nobody reads is misspelt.
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any, Final

from constellation_engine.components.component import Component, Download, Recipe
from constellation_engine.errors import ManifestError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SCHEMA: Final = re.compile("1")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # names and versions become names of files
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_TOOLCHAIN: Final = re.compile(r"go1\.[0-9]+\.[0-9]+")
_PLATFORM: Final = re.compile(r"[a-z0-9]+/[a-z0-9]+")
_URL: Final = re.compile(r"https?://[!-~]+")
_WORD: Final = re.compile(r"[!-~]+")


def parse_components(text: str, folder: Path) -> tuple[Component, ...]:
    """Read the components of a manifest, in its order.

    Args:
        text: the file.
        folder: where it lies; the folders of Go modules are below.

    Raises:
        ManifestError: it is not TOML, or a field is missing, wrong, or unknown.
    """
    try:
        top = _Table("manifest", tomllib.loads(text))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ManifestError(f"manifest: expected TOML, got something else: {error}") from None
    top.text("schema", _SCHEMA)
    toolchain, platform = top.text("toolchain", _TOOLCHAIN), top.text("platform", _PLATFORM)
    components = tuple(
        component
        for release in top.rows("release")
        for component in _release_components(release, folder, toolchain, platform)
    )
    top.end()
    return components


def _release_components(release: _Table, folder: Path, toolchain: str, platform: str) -> Iterator[Component]:
    project, version = release.text("name", _NAME), release.text("version", _NAME)
    modules = folder / release.text("folder", _NAME)
    tags, variables = release.texts("tags", _WORD), release.texts("variables", _WORD)
    archive, archive_sha256 = release.text("archive", _URL, ""), release.text("archive_sha256", _SHA256, "")
    for name, table in release.tables("components"):
        recipe = Recipe(
            toolchain=toolchain,
            platform=platform,
            folder=modules,
            package=table.text("package", _WORD),
            tags=tags,
            variables=variables,
            sha256=table.text("sha256", _SHA256),
            is_test=table.flag("test"),
        )
        download = _program_download(table) or _archive_download(table, archive, archive_sha256)
        table.end()
        yield Component(name, project, version, recipe, download)
    release.end()


def _program_download(table: _Table) -> Download | None:
    url, sha256 = table.text("url", _URL, ""), table.text("url_sha256", _SHA256, "")
    return Download(url, sha256, member="") if sha256 else None


def _archive_download(table: _Table, url: str, sha256: str) -> Download | None:
    member = table.text("member", _WORD, "")
    return Download(url, sha256, member) if sha256 and member else None


class _Table:
    """One table of the file, read field by field."""

    def __init__(self, where: str, fields: object) -> None:
        if not isinstance(fields, dict):
            raise ManifestError(f"{where}: expected a table, got {fields!r}")
        self._where = where
        self._fields: dict[str, Any] = dict(fields)

    def text(self, key: str, shape: re.Pattern[str], default: str | None = None) -> str:
        if default is not None and key not in self._fields:
            return default
        return self._shaped(key, shape, self._fields.pop(key, None))

    def texts(self, key: str, shape: re.Pattern[str]) -> tuple[str, ...]:
        return tuple(self._shaped(f"{key}[{index}]", shape, entry) for index, entry in enumerate(self._list(key, [])))

    def flag(self, key: str) -> bool:
        value = self._fields.pop(key, False)
        if not isinstance(value, bool):
            raise ManifestError(f"{self._where}.{key}: expected true or false, got {value!r}")
        return value

    def tables(self, key: str) -> Iterator[tuple[str, _Table]]:
        below = _Table(f"{self._where}.{key}", self._fields.pop(key, None))
        for name, fields in below._fields.items():
            below._shaped("name of a table", _NAME, name)
            yield name, _Table(f"{below._where}.{name}", fields)

    def rows(self, key: str) -> Iterator[_Table]:
        for index, fields in enumerate(self._list(key, None)):
            yield _Table(f"{self._where}.{key}[{index}]", fields)

    def end(self) -> None:
        if self._fields:
            raise ManifestError(f"{self._where}: nobody knows {', '.join(map(repr, self._fields))}")

    def _list(self, key: str, default: list[object] | None) -> list[object]:
        value = self._fields.pop(key, default)
        if not isinstance(value, list):
            raise ManifestError(f"{self._where}.{key}: expected a list, got {value!r}")
        return value

    def _shaped(self, key: str, shape: re.Pattern[str], value: object) -> str:
        if not isinstance(value, str) or not shape.fullmatch(value):
            raise ManifestError(f"{self._where}.{key}: expected text like {shape.pattern}, got {value!r}")
        return value
