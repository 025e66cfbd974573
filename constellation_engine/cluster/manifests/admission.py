# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What RBAC cannot say, as admission policies that the API server evaluates itself.

1. The join service writes no Secrets in kube-system but bootstrap tokens. Else whoever took it over could make a Secret
   of type service-account token there, and read from it the token of a controller.
2. The key service writes no Secrets but wrapped keys, for the same reason.
3. Only our own pods get the devices that sign evidence: the runtime class that brings them is refused elsewhere.
   Whoever talks to the TPM can extend registers, and lock it.

https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lightkube.models.admissionregistration_v1 import (
    MatchCondition,
    MatchResources,
    NamedRuleWithOperations,
    ValidatingAdmissionPolicyBindingSpec,
    ValidatingAdmissionPolicySpec,
    Validation,
)
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.admissionregistration_v1 import ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding

from constellation_core.names import NAMESPACE
from constellation_engine.cluster.manifests.evidence import RUNTIME_CLASS
from constellation_engine.cluster.manifests.names import PART_OF, SYSTEM_NAMESPACE, Service

if TYPE_CHECKING:
    from constellation_engine.cluster.manifests.manifest import Manifest

BOOTSTRAP_TOKEN: Final = "bootstrap.kubernetes.io/token"  # noqa: S105 - a type
WRAPPED_KEY: Final = "constellation.dev/wrapped-key"  # as `constellation_core.keys.kubernetes_store` writes them


def admission_policies() -> list[Manifest]:
    """Give the policies and their bindings."""
    return [
        *_secrets_of_one_type(Service.JOIN, SYSTEM_NAMESPACE, BOOTSTRAP_TOKEN),
        *_secrets_of_one_type(Service.KEYS, NAMESPACE, WRAPPED_KEY),
        *_devices_in_our_namespace(),
    ]


def _secrets_of_one_type(service: Service, namespace: str, secret_type: str) -> list[Manifest]:
    written = "(request.operation == 'DELETE' ? oldObject : object)"
    return _policy(
        f"constellation-{service}-secrets",
        _rule("secrets", ["CREATE", "UPDATE", "DELETE"]),
        condition=f"request.userInfo.username == '{service.user}'",
        expression=f"request.namespace == '{namespace}' && {written}.type == '{secret_type}'",
        message=f"{service} may write Secrets of type {secret_type} in {namespace} and no others",
    )


def _devices_in_our_namespace() -> list[Manifest]:
    return _policy(
        "constellation-evidence-devices",
        _rule("pods", ["CREATE", "UPDATE"]),
        condition=f"has(object.spec.runtimeClassName) && object.spec.runtimeClassName == '{RUNTIME_CLASS}'",
        expression=f"request.namespace == '{NAMESPACE}'",
        message=f"runtime class {RUNTIME_CLASS} is for pods in {NAMESPACE} only",
    )


def _rule(resource: str, operations: list[str]) -> NamedRuleWithOperations:
    return NamedRuleWithOperations(apiGroups=[""], apiVersions=["v1"], resources=[resource], operations=operations)


def _policy(
    name: str, rule: NamedRuleWithOperations, *, condition: str, expression: str, message: str
) -> list[Manifest]:
    """Refuse what a rule and a condition select, unless an expression says yes (Common Expression Language)."""
    metadata = ObjectMeta(name=name, labels=dict(PART_OF))
    spec = ValidatingAdmissionPolicySpec(
        failurePolicy="Fail",
        matchConstraints=MatchResources(resourceRules=[rule]),
        matchConditions=[MatchCondition(name="concerned", expression=condition)],
        validations=[Validation(expression=expression, message=message, reason="Forbidden")],
    )
    binding = ValidatingAdmissionPolicyBindingSpec(policyName=name, validationActions=["Deny"])
    return [
        ValidatingAdmissionPolicy(metadata=metadata, spec=spec),
        ValidatingAdmissionPolicyBinding(metadata=metadata, spec=binding),
    ]
