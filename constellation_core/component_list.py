# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Which programs a node runs: ConfigMaps `components-<sha256>`, and the list in an image's manifest.

    [{"name":"kubelet","sha256":"…","version":"1.36.4"}]

The name of the ConfigMap holds the SHA-256 of that canonical JSON (sorted by name, sorted keys, no spaces), so that
whoever knows the name knows the content, and a list never changes.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from attestation.errors import AttestationError, MalformedError
from attestation.strict_json import load_object
from constellation_core.errors import ConfigError
from constellation_core.fields import Fields
from constellation_proto import join_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DATA_KEY: Final = "components.json"
"""Key of the list in its ConfigMap."""

MAX_COMPONENTS: Final = 64
MAX_SIZE: Final = 64 * 1024  # bytes of JSON
OBJECT_NAME: Final = re.compile(r"components-[0-9a-f]{64}")

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")
_VERSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_-]{0,63}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, order=True)
class Component:
    """One program.

    Attributes:
        name: of the program: "kubelet".
        version: of the project that makes it.
        sha256: of the program, hexadecimal.
    """

    name: str
    version: str
    sha256: str

    @classmethod
    def from_record(cls, record: object) -> Component:
        """Read one from plain data.

        Raises:
            MalformedError: a field is missing, wrong, or unknown.
        """
        fields = Fields(record, "component", ("name", "version", "sha256"))
        return cls(
            fields.text("name", _NAME, "the name of a program"),
            fields.text("version", _VERSION, "a version"),
            fields.text("sha256", _SHA256, "64 digits 0-9, a-f"),
        )

    def to_record(self) -> dict[str, str]:
        """Give plain data."""
        return {"name": self.name, "version": self.version, "sha256": self.sha256}

    def to_message(self) -> join_pb2.Component:
        """Give it for the wire."""
        return join_pb2.Component(name=self.name, version=self.version, sha256=self.sha256)


def read_components(records: Iterable[object]) -> tuple[Component, ...]:
    """Read components from plain data, sorted by name.

    Raises:
        MalformedError: one is wrong, or named twice.
    """
    components = sorted(map(Component.from_record, records))
    for before, after in itertools.pairwise(components):
        if before.name == after.name:
            raise MalformedError(f"components: {after.name} is there twice")
    return tuple(components)


@dataclass(frozen=True, slots=True)
class ComponentList:
    """The programs of nodes, at least one, sorted by name, each once.

    Attributes:
        components: the programs.
    """

    components: tuple[Component, ...]

    def __post_init__(self) -> None:
        """Check them, and sort them."""
        components = read_components(component.to_record() for component in self.components)
        if not 0 < len(components) <= MAX_COMPONENTS:
            raise ConfigError(f"components: expected 1 to {MAX_COMPONENTS}, got {len(components)}")
        object.__setattr__(self, "components", components)

    @property
    def document(self) -> str:
        """Canonical JSON."""
        records = [component.to_record() for component in self.components]
        return json.dumps(records, sort_keys=True, separators=(",", ":"))

    @property
    def object_name(self) -> str:
        """Name of the ConfigMap."""
        return f"components-{hashlib.sha256(self.document.encode()).hexdigest()}"

    @property
    def data(self) -> dict[str, str]:
        """Content of the ConfigMap."""
        return {DATA_KEY: self.document}

    @classmethod
    def from_data(cls, object_name: str, data: Mapping[str, str]) -> ComponentList:
        """Read the content of a ConfigMap.

        Args:
            object_name: of the ConfigMap.
            data: its content.

        Raises:
            ConfigError: it is no list, is not written canonically, or is not the one that the name promises.
        """
        try:
            found = cls(read_components(_load_list(data.get(DATA_KEY, ""))))
        except AttestationError as error:
            raise ConfigError(f"ConfigMap {object_name}: {error}", hint=error.hint) from None
        if found.object_name != object_name or found.document != data[DATA_KEY]:
            raise ConfigError(
                f"ConfigMap {object_name}: expected the list of that hash, got one for {found.object_name}",
                hint="somebody changed it: write it anew from the image's manifest",
            )
        return found


def _load_list(text: str) -> list[Any]:
    # A list in an object is what our strict reader reads.
    wrapped = f'{{"components":{text}}}'.encode("utf-8", "surrogatepass")
    record = load_object(wrapped, "components", max_size=MAX_SIZE, max_brackets=MAX_COMPONENTS + 2)
    return Fields(record, "components", ("components",)).entries("components", range(1, MAX_COMPONENTS + 1))
