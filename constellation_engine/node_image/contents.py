# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What the measured root holds besides Debian: a tree that mkosi copies over it.

    usr/bin, usr/lib/cni              programs of Kubernetes and containerd, from our component store
    usr/lib/constellation/python      packages of `uv.lock` that the agent needs, and our own
    usr/lib/constellation/containerd  a containerd that has its images already
    usr/lib/constellation/image       what this image is, whom it believes, and its list of components

Only programs that we build ourselves: those are the same bytes on every machine.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from constellation_core.component_list import Component
from constellation_engine.components import Origin
from constellation_engine.components.watch import Stage
from constellation_engine.container_images import build_store
from constellation_engine.node_image.packages import ContainerImage, PythonPackage
from constellation_engine.services_image import build as build_services
from constellation_engine.services_image.ours import copy_packages
from constellation_engine.services_image.wheels import export_requirements, install_requirements

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from constellation_engine.components.watch import Watch
    from constellation_engine.container_images import Sources
    from constellation_engine.container_images.build import BuiltImage
    from constellation_engine.node_image.build_record import BuildRecord

OURS: Final = "usr/lib/constellation"
PROGRAMS: Final = ("containerd", "containerd-shim-runc-v2", "ctr", "kubeadm", "kubelet")
PLUGINS: Final = ("bridge", "host-local", "loopback", "portmap")
PACKAGES: Final = ("attestation", "constellation_core", "node_agent", "proto/constellation_proto")
EXTRA: Final = "agent"  # of pyproject.toml

_WHEEL: Final = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;\\]+)", re.MULTILINE)
_FACTS_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Contents:
    """What was put into a tree.

    Attributes:
        components: programs, with the versions and hashes that the cluster knows them by.
        containers: images in the store of containerd.
        python: packages of the agent.
    """

    components: tuple[Component, ...]
    containers: tuple[ContainerImage, ...]
    python: tuple[PythonPackage, ...]


def make_contents(
    tree: Path,
    *,
    record: BuildRecord,
    public_key: bytes,
    sources: Sources,
    given: Sequence[BuiltImage] = (),
    work: Path,
    watch: Watch,
) -> Contents:
    """Make the tree.

    Args:
        tree: folder that stands for the root; is made.
        record: what the image is.
        public_key: whose signatures nodes of the image believe, PEM.
        sources: what programs and container images come from.
        given: container images of the user.
        work: folder for what is kept between builds.
        watch: looks after the build.

    Raises:
        ComponentError: a program cannot be had.
        ImageBuildError: something cannot be built here.
    """
    components = _copy_programs(tree, record.kubernetes, sources, watch)
    python = _install_agent(tree / OURS / "python", sources.repository, watch)
    services = _build_services(work / "services-image", sources, watch)
    store = build_store(
        tree / OURS / "containerd",
        kubernetes=record.kubernetes,
        services=services,
        sources=sources,
        report=watch.pass_on,
        given=given,
        timeout=watch.remaining("container images"),
    )
    _write_facts(tree / OURS / "image", record, public_key, components)
    containers = [ContainerImage(name.partition("@")[0], digest) for name, digest in store.images.items()]
    return Contents(components, tuple(sorted(containers)), python)


def _copy_programs(tree: Path, kubernetes: str, sources: Sources, watch: Watch) -> tuple[Component, ...]:
    names = (*PROGRAMS, *PLUGINS)
    programs = sources.components.fetch(
        names,
        kubernetes=kubernetes,
        only=Origin.BUILD,
        timeout=watch.remaining("components"),
        report=watch.pass_on,
    )
    for name, program in programs.items():
        target = tree / ("usr/lib/cni" if name in PLUGINS else "usr/bin") / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(program, target)
        target.chmod(0o755)
    found = sources.components.manifest.select(names, kubernetes)
    return tuple(sorted(Component(one.name, one.version, one.recipe.sha256) for one in found))


def _install_agent(target: Path, repository: Path, watch: Watch) -> tuple[PythonPackage, ...]:
    title = "Python packages of the agent"
    watch.tell(title, Stage.BUILDING)
    requirements = export_requirements(repository, (EXTRA,), timeout=watch.remaining(title))
    install_requirements(repository, requirements, target, timeout=watch.remaining(title))
    copy_packages(repository, PACKAGES, target)
    watch.tell(title, Stage.READY)
    return tuple(sorted(_wheels(requirements)))


def _wheels(requirements: str) -> Iterator[PythonPackage]:
    """Give names and versions; which of several pinned hashes was taken, uv alone knows."""
    for match in _WHEEL.finditer(requirements):
        yield PythonPackage(match["name"], match["version"])


def _build_services(layout: Path, sources: Sources, watch: Watch) -> Path:
    build_services(
        layout,
        repository=sources.repository,
        mirrors=sources.mirrors,
        report=watch.pass_on,
        timeout=watch.remaining("the image of the services"),
    )
    return layout


def _write_facts(folder: Path, record: BuildRecord, public_key: bytes, components: tuple[Component, ...]) -> None:
    """Write what the node reads of itself. Times are not in it: the same sources give the same root."""
    folder.mkdir(parents=True)
    facts = {
        "version": _FACTS_VERSION,
        "name": record.name,
        "image_version": record.version,
        "variant": record.variant.value,
        "profile": record.profile,
        "kubernetes": f"v{record.kubernetes}",
    }
    (folder / "image.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="ascii")
    (folder / "image.pub").write_bytes(public_key)
    listed = json.dumps([one.to_record() for one in components], indent=1) + "\n"
    (folder / "components.json").write_text(listed, encoding="ascii")
