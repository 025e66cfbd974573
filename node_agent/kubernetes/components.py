# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Whether this image's programs are the ones that the cluster runs.

The image's own list is in its measured root, beside the programs and from the same build: comparing lists is comparing
programs. To hash 300 MB again at every start would find nothing that dm-verity lets through, and cost an emulated
machine ten seconds.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from attestation.errors import AttestationError
from constellation_core.component_list import Component, read_components
from node_agent.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

KUBELET: Final = "kubelet"
_SHOWN: Final = 12  # digits of a hash


def measured_components(file: Path) -> tuple[Component, ...]:
    """Read the image's list: a JSON array, as `constellation_core.component_list` has it.

    Args:
        file: `components.json` in the measured root.

    Raises:
        PermanentError: it is missing or damaged.
    """
    try:
        return read_components(json.loads(file.read_bytes()))
    except (OSError, ValueError, TypeError, AttestationError) as error:
        raise PermanentError(f"{file}: expected the image's list of programs: {error}") from None


def check_components(*, measured: Iterable[Component], wanted: Iterable[Component], kubernetes_version: str) -> None:
    """Check that the image has exactly the programs of the cluster, of the version that the plan says.

    Raises:
        PermanentError: it has not; names every difference.
    """
    differences = [
        *_differences({item.name: item for item in measured}, {item.name: item for item in wanted}),
        *_other_version(measured, kubernetes_version),
    ]
    if differences:
        raise PermanentError(
            f"this image's programs are not the cluster's: {'; '.join(differences)}",
            hint="boot the node with an image of the same release, or build the cluster's list from this image",
        )


def _differences(measured: dict[str, Component], wanted: dict[str, Component]) -> Iterator[str]:
    for name in sorted(measured.keys() | wanted.keys()):
        expected, got = wanted.get(name), measured.get(name)
        if expected != got:
            yield f"{name}: expected {_shown(expected)}, got {_shown(got)}"


def _other_version(measured: Iterable[Component], kubernetes_version: str) -> Iterator[str]:
    for component in measured:
        if component.name == KUBELET and f"v{component.version.removeprefix('v')}" != kubernetes_version:
            yield f"Kubernetes: expected {kubernetes_version}, got {component.version}"


def _shown(component: Component | None) -> str:
    return f"{component.version} ({component.sha256[:_SHOWN]}…)" if component is not None else "none"
