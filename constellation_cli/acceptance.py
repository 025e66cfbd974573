# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""By what the nodes of a cluster are judged: policies, images, or the image of a workspace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from constellation_cli.errors import UsageError

if TYPE_CHECKING:
    from attestation.policy import Policy
    from constellation_cli.chosen_cluster import ChosenCluster

Policies: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option("--policy", metavar="FILE", help="What is acceptable, JSON or YAML; one of several is enough."),
]
Images: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option("--image", metavar="FOLDER", help="Image that nodes may boot; one of several is enough."),
]


def choose_policies(policies: list[Path] | None, images: list[Path] | None, cluster: ChosenCluster) -> list[Policy]:
    """Give what is acceptable: what was named, else the image of the workspace.

    Raises:
        UsageError: nothing was named, and there is no workspace.
        PolicyError: a policy cannot be used.
        NodeImageError: an image cannot be read.
        NotGenuineError: the signature of an image does not hold.
    """
    from constellation_cli.policy.file import load_policy
    from constellation_engine.local_cluster.machines import accepted_policies
    from constellation_engine.node_image.image_folder import ImageFolder

    named = [load_policy(file, None) for file in policies or ()]
    named += [ImageFolder.open(folder).policy() for folder in images or ()]
    if named:
        return named
    if cluster.workspace is None:
        raise UsageError("nothing says what is acceptable", hint="name a policy (--policy FILE) or an image (--image)")
    return accepted_policies(cluster.workspace)
