# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What the first control plane puts into its cluster, and where that ends.

| object | by | why |
|---|---|---|
| CoreDNS, kube-proxy, roles for joining | kubeadm | its addons and phases |
| Leases of controller manager and scheduler, vacant | agent | their first process may have ended, and holds them |
| namespace, our kinds, the right of nodes to read NodeIdentity | agent | before the next three; `objects.yaml` |
| ConfigMaps `cluster`, `components-…`, `join-config` | agent | only the first node was told them |
| Secret `key-material` | agent | the same; the administrator's connection may be lost by now |
| NodeIdentity of this node, Leases on its disk and mesh address | agent | only it knows; else its disk is anybody's |
| services, their roles and policies, storage class | engine | phase `services`: each release has others |

Everything is applied on the server's side by the field manager that the engine uses, so whoever applies again changes
nothing. Forms are those of `constellation_engine.cluster.manifests` and `constellation_services.join`, which read them.
"""

from __future__ import annotations

import asyncio
import base64
import time
from typing import TYPE_CHECKING, Any, Final

import yaml

from constellation_core import cluster_facts, join_config
from constellation_core.cluster_facts import ClusterFacts
from constellation_core.component_list import ComponentList
from constellation_core.keys.secret import Secret
from constellation_core.names import NAMESPACE
from node_agent.errors import PermanentError, TemporaryError
from node_agent.kubernetes.administrator import administrator
from node_agent.kubernetes.paths import FIRST_OBJECTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from node_agent.kubernetes.patience import Patience
    from node_agent.parts import ClusterPlan, OwnNode, Report

GROUP: Final = "constellation.dev"  # as in constellation_core.cluster_objects, whose library is not on nodes
PART_OF: Final = {"app.kubernetes.io/part-of": "constellation"}
KEY_MATERIAL: Final = "key-material"
FIELD_MANAGER: Final = "constellation"

_PAUSE: Final = 1.0  # seconds between attempts


def first_objects(plan: ClusterPlan) -> Secret:
    """Give the objects that only this node can make, YAML."""
    documents = [
        _key_material(plan),
        *_config_maps(plan),
        _node_identity(plan.node),
        *_claims(plan.node),
    ]
    return Secret(yaml.safe_dump_all(documents, sort_keys=False).encode())


async def apply_objects(objects: Secret, *, patience: Patience, report: Report) -> None:
    """Give a cluster its first objects. Doing it again changes nothing.

    Args:
        objects: those of `first_objects`.
        patience: how slow the machine is.
        report: takes progress.

    Raises:
        PermanentError: the API server does not take one within the time; says what it said last.
    """
    report("objects of this cluster")
    everything = [*_vacant_leases(), *_read(FIRST_OBJECTS.read_bytes()), *_read(objects.reveal())]
    end = time.monotonic() + 4 * patience.call_timeout
    while everything:
        try:
            await _apply(everything)
        except TemporaryError as error:  # a kind that is new is served a moment later
            if time.monotonic() > end:
                raise PermanentError(f"objects of this cluster: {error}", hint=error.hint) from None
            await asyncio.sleep(_PAUSE)


async def _apply(objects: list[dict[str, Any]]) -> None:
    """Write objects in their order; who is written leaves the list."""
    async with administrator() as connection:
        while objects:
            await connection.apply(f"{_path(objects[0])}?fieldManager={FIELD_MANAGER}&force=true", objects[0])
            objects.pop(0)


def _vacant_leases() -> Iterator[dict[str, Any]]:
    """Have the only control plane led by whoever runs.

    A controller manager that leads, and finds the API server not healthy yet, ends after ten seconds and keeps its
    lease (WaitForAPIServer in kubernetes/cmd/kube-controller-manager): its next process would wait until that is over,
    a minute where machines are emulated. One that leads and runs takes its lease again.
    """
    for name in ("kube-controller-manager", "kube-scheduler"):
        yield _lease({"name": name, "namespace": "kube-system"}, holder="")


def _read(documents: bytes) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(documents))


def _path(record: Mapping[str, Any]) -> str:
    """Give the path of an object (Kubernetes API concepts, "Resource URIs")."""
    version, kind, metadata = record["apiVersion"], record["kind"].lower(), record["metadata"]
    group = f"/apis/{version}" if "/" in version else f"/api/{version}"
    space = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
    kinds = f"{kind.removesuffix('y')}ies" if kind.endswith("y") else f"{kind}s"
    return f"{group}{space}/{kinds}/{metadata['name']}"


def _key_material(plan: ClusterPlan) -> dict[str, Any]:
    material = plan.key_material
    parts = {"uri": material.uri.text.encode(), "salt": material.salt}
    if material.secret is not None:
        parts["secret"] = material.secret.reveal()
    data = {name: base64.b64encode(value).decode() for name, value in parts.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": _metadata(KEY_MATERIAL), "type": "Opaque", "data": data}


def _config_maps(plan: ClusterPlan) -> Iterator[dict[str, Any]]:
    programs = ComponentList(plan.components)
    facts = ClusterFacts(
        name=plan.cluster_name,
        endpoint=plan.endpoint,
        measurement_salt=plan.measurement_salt,
        kubernetes_version=plan.kubernetes_version,
        components=programs.object_name,
        mesh_network=plan.mesh_network,
        pod_network=plan.pod_cidr,
        service_network=plan.service_cidr,
    )
    contents = {
        programs.object_name: programs.data,
        cluster_facts.OBJECT_NAME: {cluster_facts.DATA_KEY: facts.to_yaml()},
        join_config.OBJECT_NAME: {join_config.DATA_KEY: plan.join_config},
    }
    for name, data in contents.items():
        yield {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _metadata(name), "data": data}


def _node_identity(node: OwnNode) -> dict[str, Any]:
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "NodeIdentity",
        "metadata": {"name": node.name},
        "spec": {
            "role": node.role.value,
            "variant": node.variant,
            "identity": node.identity,
            "identityKind": node.identity_kind,
            "disk": str(node.disk),
            "wireguardPublicKey": base64.b64encode(node.wireguard_public_key).decode(),
            "hostKey": node.host_key,
            "meshAddress": str(node.mesh_address),
            "addresses": list(node.addresses),
        },
    }


def _claims(node: OwnNode) -> Iterator[dict[str, Any]]:
    """Claim disk and mesh address as the join service does for everybody who comes later."""
    claims = {
        f"disk-{node.disk}": f"{node.name}/{node.identity}",
        f"mesh-{str(node.mesh_address).replace('.', '-')}": node.name,
    }
    for name, holder in claims.items():
        yield _lease({"name": name, "namespace": NAMESPACE, "labels": {f"{GROUP}/node": node.name}}, holder=holder)


def _lease(metadata: dict[str, Any], *, holder: str) -> dict[str, Any]:
    spec = {"holderIdentity": holder}
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}


def _metadata(name: str) -> dict[str, Any]:
    return {"name": name, "namespace": NAMESPACE, "labels": dict(PART_OF)}
