# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Names of images, as containers refer to them: `registry.k8s.io/pause:3.10`.

Grammar and short forms are those of the distribution project (github.com/distribution/reference), which containerd and
the kubelet use, too: `busybox:1.37` is `docker.io/library/busybox:1.37`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from constellation_engine.errors import ImageBuildError

MAX_LENGTH: Final = 255  # characters of a repository

_PART: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_HOST: Final = r"(?:localhost|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)(?::[0-9]+)?|[A-Za-z0-9-]+:[0-9]+"
_NAME: Final = re.compile(
    rf"(?:(?P<host>{_HOST})/)?(?P<path>{_PART}(?:/{_PART})*):(?P<tag>\w[\w.-]{{0,127}})", re.ASCII
)
_DEFAULT_HOST: Final = "docker.io"
_DEFAULT_FOLDER: Final = "library"


@dataclass(frozen=True, slots=True)
class Reference:
    """What containers name an image by.

    Attributes:
        repository: registry and path.
        tag: what stands behind the colon.
    """

    repository: str
    tag: str

    def __str__(self) -> str:
        """Write it as kubeadm does."""
        return f"{self.repository}:{self.tag}"


def parse_reference(text: str) -> Reference:
    """Read the name of an image, and make it a whole one.

    Raises:
        ImageBuildError: it is no name with a tag.
    """
    match = _NAME.fullmatch(text)
    if match is None or len(text) > MAX_LENGTH:
        raise ImageBuildError(
            f"expected the name of an image with a tag, such as registry.example/team/program:1.2, got {text!r:.80}",
            hint="give it one yourself: NAME:TAG=FILE",
        )
    host, path = match["host"] or _DEFAULT_HOST, match["path"]
    if host == _DEFAULT_HOST and "/" not in path:
        path = f"{_DEFAULT_FOLDER}/{path}"
    return Reference(f"{host}/{path}", match["tag"])
