# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""From a plan to what has to be done: pure, so that all of it can be written down before anything is done.

Control planes get the keys of the cluster as files, 0600, where kubeadm looks for them: it makes what is missing and
keeps what is there. So `kubeadm join` needs no upload of certificates, and nobody can download any.
"""

from __future__ import annotations

import re
import secrets
import string
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from constellation_core.keys.secret import Secret
from constellation_core.roles import Role
from node_agent.errors import PermanentError
from node_agent.kubernetes.authority import hash_of_authority
from node_agent.kubernetes.encryption import encryption_configuration
from node_agent.kubernetes.kubeadm_config import init_documents, join_documents
from node_agent.kubernetes.kubelet_credentials import (
    CURRENT,
    certificate_path,
    certificate_with_key,
    kubeconfig,
    parsed_certificate,
)
from node_agent.kubernetes.objects import first_objects
from node_agent.kubernetes.paths import DISCOVERY, ENCRYPTION_CONFIGURATION, KUBELET_CONFIGURATION, KUBERNETES
from node_agent.kubernetes.setup import Kind, Setup

if TYPE_CHECKING:
    from node_agent.kubernetes.patience import Patience
    from node_agent.parts import ClusterPlan, ControlPlaneFile, JoinPlan

_SIGNS: Final = string.ascii_lowercase + string.digits
_SHARED: Final = re.compile(
    r"pki/(ca|front-proxy-ca|etcd/ca)\.(crt|key)|pki/sa\.(key|pub)|encryption-configuration\.yaml"
)
"""What control planes share; nothing else of a ticket becomes a file."""


def init_setup(plan: ClusterPlan, patience: Patience) -> Setup:
    """Say what makes a cluster of a plan.

    Args:
        plan: of the cluster.
        patience: how slow the machine is.
    """
    documents = init_documents(plan, token=_nobodys_token(), patience=patience)
    return Setup(
        kind=Kind.INIT,
        documents=Secret(documents.encode()),
        files={Path(ENCRYPTION_CONFIGURATION): encryption_configuration(plan.secrets_key)},
        objects=first_objects(plan),
    )


def join_setup(plan: JoinPlan, patience: Patience) -> Setup:
    """Say what makes this machine a node of a cluster.

    Args:
        plan: what a ticket says.
        patience: how slow the machine is.

    Raises:
        PermanentError: the ticket is not for us, or has a file that does not belong there.
    """
    certificate = certificate_path(plan.kubelet_certificate)
    _check_authority(plan)
    files = {
        certificate: certificate_with_key(plan.kubelet_certificate, plan.kubelet_key),
        KUBELET_CONFIGURATION: Secret(kubeconfig(_kubelets_endpoint(plan)).encode()),
        DISCOVERY: Secret(kubeconfig(plan.api_endpoint).encode()),
        **dict(map(_placed, plan.control_plane_files)),
    }
    return Setup(
        kind=Kind.JOIN,
        documents=Secret(join_documents(plan, patience=patience).encode()),
        files=files,
        links={CURRENT: certificate.name},
        endpoint=plan.api_endpoint,
        ca_hash=plan.ca_hash,
    )


def _check_authority(plan: JoinPlan) -> None:
    """Check that a ticket with an authority is of one piece."""
    for file in plan.control_plane_files:
        if file.path == "pki/ca.crt":
            found = hash_of_authority(parsed_certificate(file.content.reveal(), "cluster's authority"))
            if found != plan.ca_hash:
                raise PermanentError(f"ticket: expected the authority {plan.ca_hash}, got {found}")


def _kubelets_endpoint(plan: JoinPlan) -> str:
    """Give the API server that the kubelet asks: on a control plane its own, as kubeadm has it."""
    return f"{plan.mesh_address}:6443" if plan.role is Role.CONTROL_PLANE else plan.api_endpoint


def _placed(file: ControlPlaneFile) -> tuple[Path, Secret]:
    if not _SHARED.fullmatch(file.path):
        raise PermanentError(f"ticket: expected files that control planes share, got {file.path!r:.100}")
    return KUBERNETES / PurePosixPath(file.path), file.content


def _nobodys_token() -> Secret:
    """Make a bootstrap token; it is over before anybody could use it."""
    return Secret(f"{_random(6)}.{_random(16)}".encode())


def _random(length: int) -> str:
    return "".join(secrets.choice(_SIGNS) for _ in range(length))
