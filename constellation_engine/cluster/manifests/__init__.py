# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What Constellation puts into a cluster's API server: the objects of its four services, and the storage class.

    for manifest in manifests(image="localhost/constellation-services@sha256:…", variant=Variant.QEMU_SNP):
        client.apply(manifest, field_manager="constellation")

Objects are lightkube's typed models; `render` writes them as YAML for `kubectl apply --server-side`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import yaml
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ConfigMap, Namespace

from constellation_core.errors import ConfigError
from constellation_core.names import NAMESPACE
from constellation_core.networks import API_PORT
from constellation_engine.cluster.manifests import workloads
from constellation_engine.cluster.manifests.access import access
from constellation_engine.cluster.manifests.admission import admission_policies
from constellation_engine.cluster.manifests.crds import custom_resource_definitions
from constellation_engine.cluster.manifests.evidence import evidence_access, runtime_class
from constellation_engine.cluster.manifests.names import PART_OF
from constellation_engine.cluster.manifests.network import network_policies, services
from constellation_engine.cluster.manifests.pods import daemon_set
from constellation_engine.cluster.manifests.storage import storage_class

if TYPE_CHECKING:
    from collections.abc import Iterable

    from attestation.variant import Variant
    from constellation_engine.cluster.manifests.manifest import Manifest


_BY_DIGEST: Final = re.compile(r"[a-z0-9]+([._:/-][a-z0-9._-]+)*@sha256:[0-9a-f]{64}")


def manifests(
    *, image: str, variant: Variant, wraps_keys: bool = False, api_server_port: int = API_PORT
) -> list[Manifest]:
    """Give all objects, in an order in which they can be created.

    Args:
        image: of the services, "name@sha256:…": what runs is what was measured, whatever a tag says later.
        variant: of the cluster's machines; it decides which devices pods get.
        wraps_keys: keys are wrapped by a key management service outside of the cluster.
        api_server_port: where the API server listens on its nodes.

    Raises:
        ConfigError: the image is not named by its digest.
    """
    if not _BY_DIGEST.fullmatch(image):
        raise ConfigError(
            f"image: expected a name with a digest, got {image!r:.200}",
            hint="as in name@sha256:<64 digits>; `constellation services build` prints it",
        )
    policies = network_policies(
        api_server_port=api_server_port,
        asks_metadata_service=evidence_access(variant).asks_metadata_service,
        asks_key_management=wraps_keys,
    )
    pods = (
        workloads.join(image, variant),
        workloads.keys(image),
        workloads.verify(image, variant),
        workloads.storage(image),
    )
    return [
        *namespace(),
        *custom_resource_definitions(),
        *access(wraps_keys=wraps_keys),
        *admission_policies(),
        runtime_class(),
        storage_class(),
        *policies,
        *services(),
        *map(daemon_set, pods),
    ]


def namespace() -> list[Manifest]:
    """Give the namespace of everything of ours, and the empty history that the join service may only update.

    Pod security: host paths are all that keeps our pods from the level "baseline", and there is no level between.
    """
    enforce = {"pod-security.kubernetes.io/enforce": "privileged"}
    history = ObjectMeta(name="join-config-history", namespace=NAMESPACE, labels=dict(PART_OF))
    return [
        Namespace(metadata=ObjectMeta(name=NAMESPACE, labels={**PART_OF, **enforce})),
        ConfigMap(metadata=history),
    ]


def render(objects: Iterable[Manifest]) -> str:
    """Write objects as YAML, one document each."""
    return yaml.safe_dump_all((item.to_dict() for item in objects), sort_keys=False, width=120)
