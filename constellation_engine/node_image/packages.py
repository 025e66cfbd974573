# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`packages.json`: everything that an image is made of, so that it can be built again and compared.

    {"version": 1, "release": "trixie", "source_date": "2026-11-21T00:00:00Z",
     "debian": [{"name": "libc6", "version": "2.41-12", "architecture": "amd64", "sha256": "…",
                 "source": "glibc", "source_version": "2.41-12"}],
     "tools": [… packages of the tree that built it, the same fields],
     "python": [{"name": "grpclib", "version": "0.4.9", "sha256": "…"}],
     "components": [{"name": "kubelet", "version": "1.36.4", "sha256": "…"}],
     "containers": [{"name": "registry.k8s.io/pause", "digest": "sha256:…"}]}

Lists are sorted and name nothing twice; the same image gives the same bytes.
"""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from attestation.errors import MalformedError
from constellation_core.component_list import MAX_COMPONENTS, Component, read_components
from constellation_core.fields import Fields
from constellation_engine.node_image.build_record import read_time, write_time
from constellation_engine.node_image.long_records import load_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

MANIFEST_VERSION: Final = 1
MAX_SIZE: Final = 4 * 1024 * 1024  # bytes
MAX_PACKAGES: Final = 1000  # of each list: a node has some 200, tools some 300

_KNOWN: Final = ("version", "release", "source_date", "debian", "tools", "python", "components", "containers")
_DEBIAN: Final = ("name", "version", "architecture", "sha256", "source", "source_version")
_DEBIAN_NAME: Final = re.compile(r"[a-z0-9][a-z0-9+.-]{1,127}")  # Debian Policy § 5.6.7
_DEBIAN_VERSION: Final = re.compile(r"[0-9A-Za-z.+:~-]{1,128}")
_ARCHITECTURE: Final = re.compile(r"[a-z0-9-]{1,32}")
_RELEASE: Final = re.compile(r"[a-z]{1,32}")
_PYTHON_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_PYTHON_VERSION: Final = re.compile(r"[0-9A-Za-z.+!_-]{1,64}")
_CONTAINER: Final = re.compile(r"[a-z0-9][A-Za-z0-9._/:-]{0,254}")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_SHA256_WORDS: Final = "64 digits 0-9, a-f"


class _Named(Protocol):
    @property
    def name(self) -> str: ...


_Record = TypeVar("_Record", bound=_Named)


@dataclass(frozen=True, slots=True, order=True)
class DebianPackage:
    """One package of Debian.

    Attributes:
        name: of the binary package.
        version: its version, with epoch.
        architecture: "amd64", "all".
        sha256: of the .deb, hexadecimal.
        source: name of the source package.
        source_version: of that.
    """

    name: str
    version: str
    architecture: str
    sha256: str
    source: str
    source_version: str

    @property
    def title(self) -> str:
        """Name and version, for people."""
        return f"{self.name} {self.version}"

    @property
    def file_name(self) -> str:
        """What the .deb is called in an archive, where names have no epoch."""
        return f"{self.name}_{self.version.partition(':')[2] or self.version}_{self.architecture}.deb"

    @classmethod
    def from_record(cls, record: object) -> DebianPackage:
        """Read plain data.

        Raises:
            MalformedError: a field is missing, wrong, or unknown.
        """
        fields = Fields(record, "Debian package", _DEBIAN)
        return cls(
            name=fields.text("name", _DEBIAN_NAME, "the name of a package"),
            version=fields.text("version", _DEBIAN_VERSION, "a version"),
            architecture=fields.text("architecture", _ARCHITECTURE, "an architecture"),
            sha256=fields.text("sha256", _SHA256, _SHA256_WORDS),
            source=fields.text("source", _DEBIAN_NAME, "the name of a source package"),
            source_version=fields.text("source_version", _DEBIAN_VERSION, "a version"),
        )

    def to_record(self) -> dict[str, str]:
        """Give plain data."""
        return {name: getattr(self, name) for name in _DEBIAN}


@dataclass(frozen=True, slots=True, order=True)
class PythonPackage:
    """One package of the agent's Python environment.

    Attributes:
        name: of the distribution.
        version: of it.
        sha256: of the wheel, hexadecimal; empty for our own code, which has none.
    """

    name: str
    version: str
    sha256: str = ""

    @classmethod
    def from_record(cls, record: object) -> PythonPackage:
        """Read plain data.

        Raises:
            MalformedError: a field is missing, wrong, or unknown.
        """
        fields = Fields(record, "Python package", ("name", "version", "sha256"))
        sha256 = fields.any_text("sha256")
        return cls(
            name=fields.text("name", _PYTHON_NAME, "the name of a package"),
            version=fields.text("version", _PYTHON_VERSION, "a version"),
            sha256=fields.text("sha256", _SHA256, _SHA256_WORDS) if sha256 else "",
        )

    def to_record(self) -> dict[str, str]:
        """Give plain data."""
        return {"name": self.name, "version": self.version, "sha256": self.sha256}


@dataclass(frozen=True, slots=True, order=True)
class ContainerImage:
    """One container image in the node's store.

    Attributes:
        name: without tag and digest.
        digest: of its manifest, "sha256:…".
    """

    name: str
    digest: str

    @classmethod
    def from_record(cls, record: object) -> ContainerImage:
        """Read plain data.

        Raises:
            MalformedError: a field is missing, wrong, or unknown.
        """
        fields = Fields(record, "container image", ("name", "digest"))
        return cls(
            fields.text("name", _CONTAINER, "the name of an image"),
            fields.text("digest", _DIGEST, "sha256: and 64 digits 0-9, a-f"),
        )

    def to_record(self) -> dict[str, str]:
        """Give plain data."""
        return {"name": self.name, "digest": self.digest}


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageManifest:
    """What an image is made of.

    Attributes:
        release: of Debian: "trixie".
        source_date: the time that the build gave to all files, aware UTC.
        debian: packages in the root and in the initrd.
        tools: packages of the tree that built it.
        python: packages of the agent's environment.
        components: programs of Kubernetes and of what it needs.
        containers: images in the node's store.
    """

    release: str
    source_date: datetime
    debian: tuple[DebianPackage, ...]
    tools: tuple[DebianPackage, ...] = ()
    python: tuple[PythonPackage, ...] = ()
    components: tuple[Component, ...] = ()
    containers: tuple[ContainerImage, ...] = ()

    def __post_init__(self) -> None:
        """Sort the lists, and refuse what is there twice."""
        for name in ("debian", "tools", "python", "containers"):
            object.__setattr__(self, name, _sorted(name, getattr(self, name)))
        object.__setattr__(self, "components", read_components(one.to_record() for one in self.components))

    @classmethod
    def from_document(cls, document: bytes) -> PackageManifest:
        """Read the document.

        Raises:
            MalformedError: it is not JSON, of another version, or a field is missing, wrong or unknown.
        """
        record = load_record(document, "package manifest", max_size=MAX_SIZE)
        fields = Fields(record, "package manifest", _KNOWN)
        fields.version(MANIFEST_VERSION)
        if missing := [name for name in _KNOWN if name not in fields]:
            raise MalformedError(f"package manifest lacks {', '.join(missing)}")

        def entries(name: str, read: Callable[[object], _Record]) -> tuple[_Record, ...]:
            return tuple(read(entry) for entry in fields.entries(name, range(MAX_PACKAGES + 1)))

        return cls(
            release=fields.text("release", _RELEASE, "the name of a release"),
            source_date=read_time(fields, "source_date"),
            debian=entries("debian", DebianPackage.from_record),
            tools=entries("tools", DebianPackage.from_record),
            python=entries("python", PythonPackage.from_record),
            components=read_components(fields.entries("components", range(MAX_COMPONENTS + 1))),
            containers=entries("containers", ContainerImage.from_record),
        )

    def to_document(self) -> bytes:
        """Write the document; `from_document` reads the same record back."""
        record: dict[str, Any] = {
            "version": MANIFEST_VERSION,
            "release": self.release,
            "source_date": write_time(self.source_date),
        }
        for name in ("debian", "tools", "python", "components", "containers"):
            record[name] = [entry.to_record() for entry in getattr(self, name)]
        return json.dumps(record, indent=1).encode("ascii") + b"\n"


def _sorted(name: str, entries: Iterable[Any]) -> tuple[Any, ...]:
    ordered = tuple(sorted(entries))
    for before, after in itertools.pairwise(ordered):
        if before == after or (name != "containers" and _place(before) == _place(after)):
            raise MalformedError(f"package manifest: {name}: {after.name} is there twice")
    return ordered


def _place(entry: Any) -> tuple[str, str]:  # noqa: ANN401 - one of several records
    return entry.name, getattr(entry, "architecture", "")
