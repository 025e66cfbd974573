# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What RBAC cannot say, as admission policies that the API server evaluates itself.

1. The join service writes no Secrets in kube-system but bootstrap tokens. Else whoever took it over could make a Secret
   of type service-account token there, and read from it the token of a controller.
2. The key service writes no Secrets but wrapped keys, for the same reason.
3. Only our own pods get the devices that sign evidence: the runtime class that brings them is refused elsewhere.
   Whoever talks to the TPM can extend registers, and lock it.
4. The storage service of a node makes and deletes volumes of this node alone, in the one folder that is for them. It
   runs on every node: else whoever took over a worker could offer folders of a control plane to pods.

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

from constellation_core.names import NAMESPACE, VOLUMES_FOLDER
from constellation_engine.cluster.manifests.evidence import RUNTIME_CLASS
from constellation_engine.cluster.manifests.names import PART_OF, SYSTEM_NAMESPACE, Service

if TYPE_CHECKING:
    from constellation_engine.cluster.manifests.manifest import Manifest

BOOTSTRAP_TOKEN: Final = "bootstrap.kubernetes.io/token"  # noqa: S105 - a type
NODE_OF_TOKEN: Final = "authentication.kubernetes.io/node-name"  # noqa: S105 - a name
"""What the API server says of a token that a kubelet got for a pod: the pod's node."""
WRAPPED_KEY: Final = "constellation.dev/wrapped-key"  # as `constellation_core.keys.kubernetes_store` writes them

_WRITTEN: Final = "(request.operation == 'DELETE' ? oldObject : object)"


def admission_policies() -> list[Manifest]:
    """Give the policies and their bindings."""
    return [
        *_secrets_of_one_type(Service.JOIN, SYSTEM_NAMESPACE, BOOTSTRAP_TOKEN),
        *_secrets_of_one_type(Service.KEYS, NAMESPACE, WRAPPED_KEY),
        *_devices_in_our_namespace(),
        *_volumes_of_the_own_node(),
    ]


def _secrets_of_one_type(service: Service, namespace: str, secret_type: str) -> list[Manifest]:
    return _policy(
        f"constellation-{service}-secrets",
        _rule("secrets", ["CREATE", "UPDATE", "DELETE"]),
        condition=f"request.userInfo.username == '{service.user}'",
        expression=f"request.namespace == '{namespace}' && {_WRITTEN}.type == '{secret_type}'",
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


def _volumes_of_the_own_node() -> list[Manifest]:
    return _policy(
        "constellation-storage-service-volumes",
        _rule("persistentvolumes", ["CREATE", "UPDATE", "DELETE"]),
        condition=f"request.userInfo.username == '{Service.STORAGE.user}'",
        expression=(
            f"{_WRITTEN}.spec.?local.path.orValue('').matches('^{VOLUMES_FOLDER}/pvc-[0-9a-f-]{{36}}$') && "
            f"{_WRITTEN}.spec.?nodeAffinity.required.nodeSelectorTerms.orValue([]).size() == 1 && "
            f"{_WRITTEN}.spec.nodeAffinity.required.nodeSelectorTerms[0].?matchExpressions.orValue([]).exists(term, "
            "term.key == 'kubernetes.io/hostname' && term.operator == 'In' && "
            f"term.values == request.userInfo.extra[?'{NODE_OF_TOKEN}'].orValue(['']))"
        ),
        message=f"{Service.STORAGE} may write volumes of its own node, in {VOLUMES_FOLDER}, and no others",
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
