# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`build.json`: what an image is, for whoever chooses one.

    {"version": 1, "name": "constellation-node", "image_version": "0.1.0", "target": "qemu", "variant": "qemu-vtpm",
     "profile": "release", "kubernetes": "1.36.4", "created": "2026-11-21T12:00:00Z"}

Nobody signs it: what counts is in `measurements.json` and in the measured root.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from attestation.errors import MalformedError
from attestation.strict_json import load_object
from attestation.variant import Variant
from constellation_core.fields import Fields

RECORD_VERSION: Final = 1
MAX_SIZE: Final = 16 * 1024  # bytes
TIME_FORMAT: Final = "%Y-%m-%dT%H:%M:%SZ"

_KNOWN: Final = ("version", "name", "image_version", "target", "variant", "profile", "kubernetes", "created")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")
_VERSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_~-]{0,63}")
_KUBERNETES: Final = re.compile(r"\d{1,3}\.\d{1,3}\.\d{1,3}", re.ASCII)
_VARIANT: Final = re.compile("|".join(variant.value for variant in Variant))
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRecord:
    """What one image is.

    Attributes:
        name: of the image.
        version: of the image.
        target: what it was built to run on.
        variant: the platform that judges it.
        profile: "release", "debug", …
        kubernetes: version of Kubernetes in it.
        created: when it was built, aware UTC, whole seconds.
    """

    name: str
    version: str
    target: str
    variant: Variant
    profile: str
    kubernetes: str
    created: datetime

    @property
    def title(self) -> str:
        """Name and version, for people."""
        return f"{self.name} {self.version}"

    @classmethod
    def from_document(cls, document: bytes) -> BuildRecord:
        """Read the document.

        Raises:
            MalformedError: it is not JSON, of another version, or a field is missing, wrong or unknown.
        """
        return cls.from_record(load_object(document, "build record", max_size=MAX_SIZE, max_brackets=1))

    @classmethod
    def from_record(cls, record: object) -> BuildRecord:
        """Read plain data.

        Raises:
            MalformedError: as `from_document`.
        """
        fields = Fields(record, "build record", _KNOWN)
        fields.version(RECORD_VERSION)
        return cls(
            name=fields.text("name", _NAME, "lower-case letters, digits, dots and hyphens"),
            version=fields.text("image_version", _VERSION, "a version"),
            target=fields.text("target", _NAME, "the name of a target"),
            variant=Variant(fields.text("variant", _VARIANT, "the name of a variant")),
            profile=fields.text("profile", _NAME, "the name of a profile"),
            kubernetes=fields.text("kubernetes", _KUBERNETES, "a version, as 1.36.4"),
            created=read_time(fields, "created"),
        )

    def to_record(self) -> dict[str, Any]:
        """Give plain data; `from_record` reads the same record back."""
        return {
            "version": RECORD_VERSION,
            "name": self.name,
            "image_version": self.version,
            "target": self.target,
            "variant": self.variant.value,
            "profile": self.profile,
            "kubernetes": self.kubernetes,
            "created": write_time(self.created),
        }

    def to_document(self) -> bytes:
        """Write the document; `from_document` reads the same record back."""
        return json.dumps(self.to_record(), indent=2).encode("ascii") + b"\n"


def read_time(fields: Fields, name: str) -> datetime:
    """Read a time as our records have it.

    Raises:
        MalformedError: it is none, or not in UTC.
    """
    text = fields.text(name, _TIME, "a time in UTC, as 2026-11-21T12:00:00Z")
    try:
        return datetime.strptime(text, TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        raise MalformedError(f"{name}: expected a time that exists, got {text}") from None


def write_time(time: datetime) -> str:
    """Write a time as our records have it."""
    return time.astimezone(UTC).strftime(TIME_FORMAT)
