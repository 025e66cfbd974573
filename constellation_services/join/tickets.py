# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a node gets: keys from the key service, a certificate, a token, files, and whom it meets.

Everything is gathered first and given at once: a service that ends in between has given nothing.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.serialization import Encoding
from google.protobuf.timestamp_pb2 import Timestamp

from constellation_core.keys.derivation import MEASUREMENT_SECRET, SECRET_SIZE, SSH_AUTHORITY, state_disk
from constellation_core.roles import Role
from constellation_core.ssh_authority import SshAuthority
from constellation_proto import join_pb2
from constellation_services.join.tokens import new_token

if TYPE_CHECKING:
    from pathlib import Path

    from constellation_core.cluster_authority import ClusterAuthority
    from constellation_core.cluster_facts import ClusterFacts
    from constellation_core.cluster_objects import NodeIdentity
    from constellation_core.component_list import ComponentList
    from constellation_core.image_manifest import SignedManifest
    from constellation_core.keys.provider import KeyProvider
    from constellation_services.join.application import Application, Renewal
    from constellation_services.join.news import News
    from constellation_services.join.registry import Applicant, Registry
    from constellation_services.join.roster import Roster
    from constellation_services.join.tokens import Tokens

CERTIFICATE_LIFETIME: Final = timedelta(days=365)  # the kubelet renews it long before

CONTROL_PLANE_FILES: Final = (
    "pki/ca.crt",
    "pki/ca.key",
    "pki/front-proxy-ca.crt",
    "pki/front-proxy-ca.key",
    "pki/sa.key",
    "pki/sa.pub",
    "pki/etcd/ca.crt",
    "pki/etcd/ca.key",
)
OPTIONAL_FILES: Final = ("encryption-configuration.yaml",)


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketOffice:
    """Makes tickets.

    Attributes:
        keys: where keys come from.
        registry: who is who.
        roster: all nodes.
        tokens: bootstrap tokens.
        authority: signs certificates of kubelets.
        kubernetes: folder /etc/kubernetes of this control plane.
        news: writes what nobody waits for.
        image: signed manifest of our own image.
    """

    keys: KeyProvider
    registry: Registry
    roster: Roster
    tokens: Tokens
    authority: ClusterAuthority
    kubernetes: Path
    news: News
    image: SignedManifest | None = None

    async def issue(self, applicant: Applicant, facts: ClusterFacts, programs: ComponentList) -> join_pb2.Ticket:
        """Make the ticket of a node that may join.

        Raises:
            AuthorityError: the cluster's authority is not valid now.
            JoinError: name or disk are another machine's.
            KeyProviderError: the key service does not answer or refuses.
            ApiError: the API server does not answer or refuses.
        """
        application = applicant.application
        # What can fail comes before anything is written.
        certificate = self._certify(application)
        disk_key, measurement_secret = await self._keys_of(application.disk)
        authority = await self._ssh_authority() if application.host_key else None
        files = await asyncio.to_thread(self._files) if application.role is Role.CONTROL_PLANE else []
        token = new_token()
        registration = await self.registry.register(applicant, token_note=token.note)
        await self.tokens.publish(token, application.name)
        self.news.later(lambda: self.registry.note_ticket(registration))
        now, expires = Timestamp(), Timestamp()
        now.GetCurrentTime()
        expires.FromDatetime(token.expires)
        return join_pb2.Ticket(
            state_disk_key=disk_key,
            measurement_secret=measurement_secret,
            measurement_salt=facts.measurement_salt,
            kubelet_certificate=certificate,
            api_endpoint=facts.endpoint,
            bootstrap_token=token.value.reveal().decode(),
            bootstrap_token_expires=expires,
            ca_hash=self.authority.ca_hash,
            control_plane_files=files,
            kubernetes_version=facts.kubernetes_version,
            components=[component.to_message() for component in programs.components],
            mesh_address=registration.identity.mesh_address,
            mesh_peers=self.roster.control_planes_but(application.name),
            image=self.image.to_message() if self.image is not None else None,
            pod_cidr=str(facts.pod_network),
            service_cidr=str(facts.service_network),
            host_certificate=_host_certificate(authority, registration.identity),
            ssh_authority=authority.public_key if authority is not None else "",
            now=now,
        )

    async def issue_again(
        self, disk: str, identity: str, facts: ClusterFacts, renewal: Renewal | None
    ) -> join_pb2.RejoinTicket:
        """Make the ticket of a node that booted again.

        Raises:
            ForbiddenError: the disk is not this machine's, or its new mesh key is another node's.
            KeyProviderError: the key service does not answer or refuses.
            ApiError: the API server does not answer or refuses.
        """
        node = await self.registry.of_disk(disk, identity)
        disk_key, measurement_secret = await self._keys_of(disk)
        if renewal is not None:
            node = await self.registry.renew(node, renewal)
        return join_pb2.RejoinTicket(
            state_disk_key=disk_key,
            measurement_secret=measurement_secret,
            measurement_salt=facts.measurement_salt,
            mesh_address=node.mesh_address,
            mesh_peers=self.roster.control_planes_but(node.name),
            wireguard_public_key=node.wireguard_public_key,
        )

    async def _keys_of(self, disk: str) -> tuple[bytes, bytes]:
        disk_key, measurement_secret = await asyncio.gather(
            self.keys.data_key(state_disk(disk), SECRET_SIZE), self.keys.data_key(MEASUREMENT_SECRET, SECRET_SIZE)
        )
        return disk_key.reveal(), measurement_secret.reveal()

    async def _ssh_authority(self) -> SshAuthority:
        return SshAuthority(await self.keys.data_key(SSH_AUTHORITY, SECRET_SIZE))

    def _certify(self, application: Application) -> bytes:
        certificate = self.authority.issue_client_certificate(
            application.public_key, application.subject, at=datetime.now(UTC), lifetime=CERTIFICATE_LIFETIME
        )
        return certificate.public_bytes(Encoding.PEM)

    def _files(self) -> list[join_pb2.File]:
        optional = [path for path in OPTIONAL_FILES if (self.kubernetes / path).exists()]
        return [
            join_pb2.File(path=path, content=(self.kubernetes / path).read_bytes())
            for path in (*CONTROL_PLANE_FILES, *optional)
        ]


def _host_certificate(authority: SshAuthority | None, node: NodeIdentity) -> str:
    """Certify the SSH host key of a node, under names that no other node has: not those that it only claims."""
    if authority is None:
        return ""
    return authority.certify_host(node.host_key, principals=(node.name, node.mesh_address))
