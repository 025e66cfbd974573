# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The container image of the three services, built without a daemon and without root, the same bytes every time.

    built = build(Path("image"), repository=find_repository(), mirrors=machine_mirrors(), report=print)
    built.reference  # "localhost/constellation-services@sha256:…"

| layer | what | pinned by |
|---|---|---|
| 1 | Debian's Python and the libraries that it needs | `images/services/debian.toml` |
| 2 | packages from the Python Package Index | `uv.lock` |
| 3 | our packages and the program | the checkout |
"""

from constellation_engine.debian.mirror import Mirrors, machine_mirrors
from constellation_engine.debian.packages import Archive
from constellation_engine.services_image.build import LOCK, BuiltImage, build, find_repository

__all__ = ["LOCK", "Archive", "BuiltImage", "Mirrors", "build", "find_repository", "machine_mirrors"]
