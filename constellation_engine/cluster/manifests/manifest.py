# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The kinds of objects that we put into a cluster."""

from __future__ import annotations

from typing import TypeAlias

from lightkube.resources.admissionregistration_v1 import ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding
from lightkube.resources.apiextensions_v1 import CustomResourceDefinition
from lightkube.resources.apps_v1 import DaemonSet
from lightkube.resources.core_v1 import ConfigMap, Namespace, Service, ServiceAccount
from lightkube.resources.networking_v1 import NetworkPolicy
from lightkube.resources.node_v1 import RuntimeClass
from lightkube.resources.rbac_authorization_v1 import ClusterRole, ClusterRoleBinding, Role, RoleBinding
from lightkube.resources.storage_v1 import StorageClass

ClusterScoped: TypeAlias = (
    ClusterRole
    | ClusterRoleBinding
    | CustomResourceDefinition
    | Namespace
    | RuntimeClass
    | StorageClass
    | ValidatingAdmissionPolicy
    | ValidatingAdmissionPolicyBinding
)
Namespaced: TypeAlias = ConfigMap | DaemonSet | NetworkPolicy | Role | RoleBinding | Service | ServiceAccount
Manifest: TypeAlias = ClusterScoped | Namespaced
"""An object as lightkube types it: `client.create` takes it, `to_dict` gives it for YAML or JSON."""
