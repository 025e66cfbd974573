# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Our own objects in a cluster (group constellation.dev/v1), as records: who a node is, and who waits for a decision.

Their schema, which the API server enforces, is in `constellation_engine.cluster.manifests.crds`.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any, Final

from lightkube.generic_resource import create_global_resource

from constellation_core.roles import Role
from constellation_proto import join_pb2

GROUP: Final = "constellation.dev"
NODE_LABEL: Final = f"{GROUP}/node"  # on whatever belongs to one node: leases, tokens
TOKEN_ANNOTATION: Final = f"{GROUP}/bootstrap-token"  # id of the token that a node got last

NodeIdentityObject = create_global_resource(GROUP, "v1", "NodeIdentity", "nodeidentities")
JoinRequestObject = create_global_resource(GROUP, "v1", "JoinRequest", "joinrequests")


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeIdentity:
    """Which attested machine a node is.

    Attributes:
        name: of the node.
        role: what it is in the cluster.
        variant: platform that attested it.
        identity: what identifies its devices, SHA-256 in hexadecimal.
        identity_kind: what that was computed from.
        disk: LUKS UUID of its state disk.
        wireguard_public_key: 32 bytes.
        host_key: SSH host key, one OpenSSH line; may be empty.
        mesh_address: IPv4.
        addresses: where its peers reach it.
    """

    name: str
    role: Role
    variant: str
    identity: str
    identity_kind: str
    disk: str
    wireguard_public_key: bytes
    host_key: str
    mesh_address: str
    addresses: tuple[str, ...]

    @classmethod
    def from_object(cls, found: Any) -> NodeIdentity:  # noqa: ANN401 - lightkube's generic objects have no type
        """Read an object of the API server, which has checked it against the schema."""
        spec = found["spec"]
        return cls(
            name=found.metadata.name,
            role=Role(spec["role"]),
            variant=spec["variant"],
            identity=spec["identity"],
            identity_kind=spec["identityKind"],
            disk=spec["disk"],
            wireguard_public_key=base64.b64decode(spec["wireguardPublicKey"]),
            host_key=spec.get("hostKey", ""),
            mesh_address=spec["meshAddress"],
            addresses=tuple(spec.get("addresses", ())),
        )

    def to_object(self, *, annotations: dict[str, str], resource_version: str | None = None) -> Any:  # noqa: ANN401
        """Make the object to write.

        Args:
            annotations: of the object.
            resource_version: of the object to replace; None for a new one.
        """
        metadata: dict[str, Any] = {"name": self.name, "annotations": annotations}
        if resource_version is not None:
            metadata["resourceVersion"] = resource_version
        spec = {
            "role": self.role.value,
            "variant": self.variant,
            "identity": self.identity,
            "identityKind": self.identity_kind,
            "disk": self.disk,
            "wireguardPublicKey": base64.b64encode(self.wireguard_public_key).decode(),
            "hostKey": self.host_key,
            "meshAddress": self.mesh_address,
            "addresses": list(self.addresses),
        }
        record = {"apiVersion": f"{GROUP}/v1", "kind": "NodeIdentity", "metadata": metadata, "spec": spec}
        return NodeIdentityObject.from_dict(record)

    def to_peer(self) -> join_pb2.MeshPeer:
        """Give what other nodes need to speak to this one."""
        return join_pb2.MeshPeer(
            node=self.name,
            wireguard_public_key=self.wireguard_public_key,
            mesh_address=self.mesh_address,
            addresses=self.addresses,
        )
