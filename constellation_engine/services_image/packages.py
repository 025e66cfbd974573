# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The Debian packages that the image is made of: an interpreter, and the libraries that it and our wheels load."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import Final

from constellation_engine.debian.packages import PackageList

PYTHON: Final = "3.13"  # of that release, as in the node image

LIST: Final = PackageList(
    "services' image",
    Path("images/services/debian.toml"),
    MappingProxyType(
        {
            "base-files": "the frame of a file system, and what system it is",
            "libc6": "everything",
            "libexpat1": "the interpreter",
            "libffi8": "ctypes, cffi",
            "libgcc-s1": "cryptography and other wheels",
            "libpython3.13-minimal": "the interpreter's library, first half",
            "libpython3.13-stdlib": "the interpreter's library, second half",
            "libssl3t64": "ssl and hashlib; the attested channel brings its own OpenSSL",
            "libstdc++6": "grpcio, protobuf",
            "libzstd1": "libssl3t64",
            "python3.13-minimal": "the interpreter",
            "zlib1g": "the interpreter",
        }
    ),
)
