# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a unified kernel image says of itself: versions, command line, root hash, sections."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from attestation.measured_boot.predict import Prediction, predict
from attestation.measured_boot.uki import parse_uki
from constellation_engine.node_image.disk import root_hash_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_VERSION_POINTER: Final = 0x20E  # of the setup header, "The Linux/x86 Boot Protocol"
_SETUP: Final = 0x200
_MAX_VERSION: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelImage:
    """A unified kernel image.

    Attributes:
        size: bytes.
        kernel: version of Linux; empty where the image does not say.
        root_hash: of the command line, hexadecimal; empty where it has none.
        sections: name → size and SHA-256 of each that means something to a stub.
        prediction: what it measures.
    """

    size: int
    kernel: str
    root_hash: str
    sections: Mapping[str, tuple[int, str]]
    prediction: Prediction

    @property
    def sha256(self) -> str:
        """Of the file, hexadecimal."""
        return self.prediction.uki_sha256.hex()

    def to_mapping(self) -> dict[str, Any]:
        """Give plain data."""
        return {
            "size": self.size,
            "sha256": self.sha256,
            "stub": self.prediction.stub,
            "kernel": self.kernel,
            "command_line": self.prediction.command_line,
            "root_hash": self.root_hash,
            "sections": [
                {"name": name, "size": size, "sha256": sha256} for name, (size, sha256) in self.sections.items()
            ],
        }


def read_kernel_image(data: bytes | memoryview) -> KernelImage:
    """Read a unified kernel image.

    Raises:
        MalformedError: it is no executable.
        PredictionError: it is none whose measurements can be predicted.
    """
    image = parse_uki(data)
    return KernelImage(
        size=len(data),
        kernel=_kernel_version(image.sections.get(".uname"), image.sections[".linux"]),
        root_hash=root_hash_of(image.command_line or ""),
        sections={
            name: (len(content), hashlib.sha256(content).hexdigest()) for name, content in image.sections.items()
        },
        prediction=predict(data),
    )


def _kernel_version(uname: memoryview | None, linux: memoryview) -> str:
    if uname is not None:
        return bytes(uname).rstrip(b"\0\n").decode("ascii", "replace")
    start = _SETUP + int.from_bytes(linux[_VERSION_POINTER : _VERSION_POINTER + 2], "little")
    if bytes(linux[0x202:0x206]) != b"HdrS" or start == _SETUP:
        return ""
    return bytes(linux[start : start + _MAX_VERSION]).partition(b" ")[0].decode("ascii", "replace")
