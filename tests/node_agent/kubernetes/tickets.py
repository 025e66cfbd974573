# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Tickets of tests: what the join service gives, made from the files of a control plane."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from constellation_core.cluster_authority import ClusterAuthority
from constellation_services.join.tickets import CONTROL_PLANE_FILES, OPTIONAL_FILES

if TYPE_CHECKING:
    from tests.node_agent.kubernetes.machines import Machine


def issue_ticket(control_plane: Machine, machine: Machine, role: str) -> dict[str, Any]:
    """Write a ticket into a machine.

    Args:
        control_plane: whose cluster it is.
        machine: who joins.
        role: as what.
    """
    kubernetes = control_plane.disk / "etc" / "kubernetes"
    authority = ClusterAuthority.load(kubernetes / "pki")
    key = ec.generate_private_key(ec.SECP256R1())
    shared = (*CONTROL_PLANE_FILES, *OPTIONAL_FILES) if role == "control-plane" else ()
    ticket = {
        "version": f"v{control_plane.version or '1.36.4'}",
        "endpoint": f"{control_plane.address}:6443",
        "ca_hash": authority.ca_hash,
        "certificate": authority.issue_client_certificate(
            key.public_key(), _subject(machine.name), at=datetime.now(UTC), lifetime=timedelta(days=365)
        )
        .public_bytes(Encoding.PEM)
        .decode(),
        "key": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        "files": {path: base64.b64encode((kubernetes / path).read_bytes()).decode() for path in shared},
    }
    write_ticket(machine, ticket)
    return ticket


def write_ticket(machine: Machine, ticket: dict[str, Any]) -> None:
    """Put a ticket where `inside` looks for it."""
    machine.ticket.write_text(json.dumps(ticket), encoding="utf-8")


def _subject(node: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"system:node:{node}"),
        ]
    )
