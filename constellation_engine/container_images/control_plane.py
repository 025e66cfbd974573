# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Which images a node needs to run Kubernetes, what is in them, and how they are called.

Static programs of the component store, each in an image of its own. Names and tags are those that kubeadm looks for: a
node has no registry to ask for others. So a tag can lag behind what is inside (etcd, CoreDNS); the label
`org.opencontainers.image.version` tells.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from constellation_engine.container_images.frame import USER
from constellation_engine.container_images.reference import Reference
from constellation_engine.errors import ImageBuildError

if TYPE_CHECKING:
    from pathlib import Path

KUBEADM: Final = "kubeadm"
KUBE_PROXY: Final = "kube-proxy"
COREDNS: Final = "coredns"
REGISTRY: Final = "registry.k8s.io"  # where kubeadm says that its images are
OUR_PREFIX: Final = "localhost/constellation-"  # of names of images that are our own
SANDBOX: Final = "localhost/constellation-pause:1"
"""What containerd's configuration names the image by that keeps the namespaces of a pod; kubeadm's name changes."""

_ROOT: Final = 0
_NOBODY: Final = 65535  # shares no number with anything else that runs
_REFERENCE: Final = re.compile(
    r"(?P<repository>[a-z0-9.-]+(/[a-z0-9-]+)*/(?P<name>[a-z0-9-]+)):(?P<tag>[A-Za-z0-9._-]+)"
)
_TIMEOUT: Final = 60.0  # seconds for kubeadm to print seven lines


@dataclass(frozen=True, slots=True)
class ProgramImage:
    """An image of static programs.

    Attributes:
        name: last part of what kubeadm calls it.
        programs: components; the first is what a container runs.
        folder: of the programs; it is on the PATH.
        user: number of the user that runs it, unless a pod says otherwise.
        aliases: names beside that of kubeadm.
    """

    name: str
    programs: tuple[str, ...]
    folder: str = "/usr/local/bin"
    user: int = _ROOT
    aliases: tuple[str, ...] = ()

    @property
    def entrypoint(self) -> str:
        """Path of what a container runs."""
        return f"{self.folder.rstrip('/')}/{self.programs[0]}"


IMAGES: Final = (
    # Root, because kubeadm's pods read keys that are root's alone.
    ProgramImage("kube-apiserver", ("kube-apiserver",)),
    ProgramImage("kube-controller-manager", ("kube-controller-manager",)),
    ProgramImage("kube-scheduler", ("kube-scheduler",)),
    ProgramImage("etcd", ("etcd", "etcdctl")),
    ProgramImage(KUBE_PROXY, (KUBE_PROXY,)),  # root, because it sets rules of the node's network
    # In its pod everybody may listen on port 53: containerd's `enable_unprivileged_ports`.
    ProgramImage(COREDNS, (COREDNS,), folder="/", user=USER),
    ProgramImage("pause", ("pause",), folder="/", user=_NOBODY, aliases=(SANDBOX,)),
)
"""All of them, for every version of Kubernetes."""


def is_ours(repository: str) -> bool:
    """Tell if an image of this name is one that every node has, in some version."""
    names = {f"{REGISTRY}/{'coredns/' if image.name == COREDNS else ''}{image.name}" for image in IMAGES}
    return repository in names or repository.startswith(OUR_PREFIX)


def kubeadm_references(kubeadm: Path, version: str) -> dict[str, Reference]:
    """Ask kubeadm what images it will look for.

    Args:
        kubeadm: the program.
        version: of Kubernetes, such as "1.36.4".

    Returns:
        Name of a `ProgramImage` → its reference.

    Raises:
        ImageBuildError: kubeadm cannot be run, or looks for other images than we know.
    """
    command = (str(kubeadm), "config", "images", "list", "--kubernetes-version", f"v{version}")
    try:
        said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=_TIMEOUT).stdout  # noqa: S603 - ours
    except (OSError, subprocess.SubprocessError) as error:
        raise ImageBuildError(f"kubeadm cannot list its images: {error}", hint="it needs Linux on x86-64") from None
    return parse_references(said)


def parse_references(text: str) -> dict[str, Reference]:
    """Read the list that kubeadm prints: one reference in each line.

    Raises:
        ImageBuildError: these are not references to the images that we know, each once.
    """
    lines = text.split()
    found = [match for line in lines if (match := _REFERENCE.fullmatch(line))]
    known = sorted(image.name for image in IMAGES)
    if len(found) != len(lines) or sorted(match["name"] for match in found) != known:
        raise ImageBuildError(f"expected kubeadm to list {', '.join(known)}, got {', '.join(lines) or 'nothing'}")
    return {match["name"]: Reference(match["repository"], match["tag"]) for match in found}
