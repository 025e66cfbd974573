# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation services manifests`: the objects of the services, for Kubernetes."""

from __future__ import annotations

import sys
from typing import Annotated, Final

import typer

from attestation.variant import Variant

EXAMPLES: Final = (
    "constellation services manifests --variant qemu-vtpm --image $IMAGE | kubectl apply --server-side -f -",
    "constellation services manifests --variant aws-sev-snp --image $IMAGE --wraps-keys > services.yaml",
)


def print_manifests(
    image: Annotated[str, typer.Option(metavar="IMAGE", help="Image of the services: NAME@sha256:DIGEST.")],
    variant: Annotated[Variant, typer.Option(metavar="VARIANT", help="The platform of the cluster's machines.")],
    wraps_keys: Annotated[
        bool, typer.Option("--wraps-keys", help="A key management service outside of the cluster wraps keys.")
    ] = False,
    api_server_port: Annotated[int, typer.Option(metavar="PORT", help="Where the API server listens.")] = 6443,
) -> None:
    """Print the objects of the services as YAML.

    Namespace, kinds of our own, permissions, admission and network policies, and pods.
    """
    from constellation_engine.cluster.manifests import manifests, render

    objects = manifests(image=image, variant=variant, wraps_keys=wraps_keys, api_server_port=api_server_port)
    sys.stdout.write(render(objects))
    sys.stdout.flush()
