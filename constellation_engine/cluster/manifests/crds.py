# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The kinds of objects that Constellation adds to Kubernetes (group `constellation.dev/v1`).

`NodeIdentity` says which attested machine a node is: only the join service writes it, every node reads it. What names
the machine never changes: another machine is another node, and a person must delete the old object first.
`JoinRequest` is a node that waits for a person's decision.

Format: CustomResourceDefinition of apiextensions.k8s.io/v1; both are cluster-scoped, named like the node.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lightkube.models.apiextensions_v1 import (
    CustomResourceColumnDefinition,
    CustomResourceDefinitionNames,
    CustomResourceDefinitionSpec,
    CustomResourceDefinitionVersion,
    CustomResourceSubresources,
    CustomResourceValidation,
    SelectableField,
)
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apiextensions_v1 import CustomResourceDefinition

from attestation.variant import Variant
from constellation_core.cluster_objects import GROUP
from constellation_core.roles import Role
from constellation_engine.cluster.manifests.names import PART_OF
from constellation_engine.cluster.manifests.schema import choice, constant, count, record, text, time, unique

if TYPE_CHECKING:
    from lightkube.models.apiextensions_v1 import JSONSchemaProps

MOST_ADDRESSES: Final = 16  # of a node

_DIGEST: Final = "^[0-9a-f]{64}$"
_UUID: Final = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
_WIREGUARD_KEY: Final = "^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$"  # 32 bytes; the last sign carries four bits
_OCTET: Final = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4: Final = rf"^{_OCTET}(\.{_OCTET}){{3}}$"

_WHO: Final = {
    "role": constant(choice("What the node is in the cluster.", [role.value for role in Role])),
    "variant": constant(choice("The platform that attested it.", [variant.value for variant in Variant])),
    "identity": constant(text("What identifies its devices, SHA-256 in hexadecimal.", longest=64, pattern=_DIGEST)),
    "disk": constant(text("LUKS UUID of its state disk, in lower case.", longest=36, pattern=_UUID)),
}
"""Who a node is, the same in both kinds."""
_SELECTABLE: Final = ("role", "identity", "disk")


def custom_resource_definitions() -> list[CustomResourceDefinition]:
    """Give the definitions of all kinds."""
    return [_node_identities(), _join_requests()]


def _node_identities() -> CustomResourceDefinition:
    spec = record(
        "What the node proved, and what its peers need.",
        {
            **_WHO,
            "identityKind": constant(text("What `identity` was computed from: a TPM's name, a chip id.", longest=32)),
            "meshAddress": constant(text("Its address in the mesh.", longest=15, pattern=_IPV4)),
            "wireguardPublicKey": text("Its key in the mesh, base64.", longest=44, pattern=_WIREGUARD_KEY),
            "hostKey": text("Its SSH host key, one line of OpenSSH.", longest=4096),
            "addresses": unique("Where peers reach it.", text("Address.", longest=253), most=MOST_ADDRESSES),
        },
        optional=("hostKey", "addresses"),
    )
    status = record(
        "What became of it.",
        {
            "phase": text("Where it is in its life, one word.", longest=32, pattern="^[A-Z][A-Za-z]*$"),
            "lastTicket": time("When it got its last ticket."),
            "tickets": count("How many it got."),
        },
        optional=("phase", "lastTicket", "tickets"),
    )
    return _definition(
        names=_names("NodeIdentity", "nodeidentities", "nid"),
        schema=_schema("Which attested machine a node is; written by the join service alone.", spec, status),
        columns=[
            _column("Role", ".spec.role"),
            _column("Variant", ".spec.variant"),
            _column("Identity", ".spec.identity"),
            _column("Disk", ".spec.disk"),
            _column("Mesh", ".spec.meshAddress"),
            _column("Last-Ticket", ".status.lastTicket", "date"),
        ],
        selectable=(*_SELECTABLE, "wireguardPublicKey"),
    )


def _join_requests() -> CustomResourceDefinition:
    decision = choice("What a person decided; empty while nobody has.", ("", "Approved", "Denied"), default="")
    spec = record("Who asks, and what a person says.", {**_WHO, "decision": decision}, optional=("decision",))
    status = record(
        "What became of it.",
        {
            "phase": choice("What the join service makes of it.", ("Pending", "Approved", "Denied", "Admitted")),
            "requestedAt": time("When the node asked first."),
        },
        optional=("phase", "requestedAt"),
    )
    return _definition(
        names=_names("JoinRequest", "joinrequests", "jr"),
        schema=_schema("A node that waits for a decision: set `spec.decision`.", spec, status),
        columns=[
            _column("Role", ".spec.role"),
            _column("Variant", ".spec.variant"),
            _column("Identity", ".spec.identity"),
            _column("Decision", ".spec.decision"),
            _column("Phase", ".status.phase"),
        ],
        selectable=_SELECTABLE,
    )


def _definition(
    *,
    names: CustomResourceDefinitionNames,
    schema: JSONSchemaProps,
    columns: list[CustomResourceColumnDefinition],
    selectable: tuple[str, ...],
) -> CustomResourceDefinition:
    version = CustomResourceDefinitionVersion(
        name="v1",
        served=True,
        storage=True,
        schema=CustomResourceValidation(openAPIV3Schema=schema),
        subresources=CustomResourceSubresources(status={}),
        additionalPrinterColumns=[*columns, _column("Age", ".metadata.creationTimestamp", "date")],
        selectableFields=[SelectableField(jsonPath=f".spec.{field}") for field in selectable],
    )
    return CustomResourceDefinition(
        metadata=ObjectMeta(name=f"{names.plural}.{GROUP}", labels=dict(PART_OF)),
        spec=CustomResourceDefinitionSpec(group=GROUP, names=names, scope="Cluster", versions=[version]),
    )


def _names(kind: str, plural: str, short: str) -> CustomResourceDefinitionNames:
    return CustomResourceDefinitionNames(
        kind=kind,
        listKind=f"{kind}List",
        plural=plural,
        singular=kind.lower(),
        shortNames=[short],
        categories=["constellation"],
    )


def _schema(description: str, spec: JSONSchemaProps, status: JSONSchemaProps) -> JSONSchemaProps:
    return record(description, {"spec": spec, "status": status}, optional=("status",))


def _column(name: str, path: str, kind: str = "string") -> CustomResourceColumnDefinition:
    return CustomResourceColumnDefinition(name=name, jsonPath=path, type=kind)
