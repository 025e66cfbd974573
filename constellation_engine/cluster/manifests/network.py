# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Who reaches the services, and whom they reach.

Nobody reaches anything in our namespace that is not said here:

| service | reached by | reaches |
|---|---|---|
| join | anyone, at node port 30090: callers attest themselves | the key service, the API server, name service |
| keys | pods of our namespace labelled as key clients | the API server; a key management service if there is one |
| verify | anyone, at node ports 30081 and 30080 (HTTP): what it says is public | nothing; on Azure metadata |

Health and metrics are for the kubelet, and for pods of namespaces that carry the label of a scraper. Policies take
effect where the cluster's network plugin enforces them; the services do not rely on that.
https://kubernetes.io/docs/concepts/services-networking/network-policies/
"""

from __future__ import annotations

from typing import Final

from lightkube.models.core_v1 import ServicePort, ServiceSpec
from lightkube.models.meta_v1 import LabelSelector, ObjectMeta
from lightkube.models.networking_v1 import (
    IPBlock,
    NetworkPolicyEgressRule,
    NetworkPolicyIngressRule,
    NetworkPolicyPeer,
    NetworkPolicyPort,
    NetworkPolicySpec,
)
from lightkube.resources.core_v1 import Service as KubernetesService
from lightkube.resources.networking_v1 import NetworkPolicy

from constellation_core.names import (
    JOIN_NODE_PORT,
    KEY_SERVICE_PORT,
    NAMESPACE,
    STATUS_PORT,
    VERIFICATION_HTTP_PORT,
    VERIFICATION_NODE_PORT,
    VERIFICATION_PORT,
)
from constellation_engine.cluster.manifests.names import KEY_CLIENT, PART_OF, SCRAPER, SYSTEM_NAMESPACE, Service
from constellation_engine.cluster.manifests.pods import STATUS
from constellation_engine.cluster.manifests.workloads import JOIN_PORT

VERIFICATION_HTTP_NODE_PORT: Final = 30080
METADATA_SERVICE: Final = "169.254.169.254/32"  # of every cloud

_HTTP: Final = 80
_HTTPS: Final = 443
_DNS: Final = 53


def services() -> list[KubernetesService]:
    """Give the addresses of the services, and those of their metrics."""
    return [
        _service(
            Service.JOIN,
            ServiceSpec(
                type="NodePort",
                externalTrafficPolicy="Local",  # else every refused machine has the address of the same node
                ports=[_port("join", JOIN_PORT, node_port=JOIN_NODE_PORT)],
            ),
        ),
        _service(
            Service.VERIFY,
            ServiceSpec(
                type="NodePort",
                externalTrafficPolicy="Local",  # who asks a node wants that node's own answer
                ports=[
                    _port("verify", VERIFICATION_PORT, node_port=VERIFICATION_NODE_PORT),
                    _port("http", VERIFICATION_HTTP_PORT, node_port=VERIFICATION_HTTP_NODE_PORT),
                ],
            ),
        ),
        _service(Service.KEYS, ServiceSpec(type="ClusterIP", ports=[_port("keys", KEY_SERVICE_PORT)])),
        *map(_metrics, Service),
    ]


def network_policies(
    *, api_server_port: int, asks_metadata_service: bool, asks_key_management: bool
) -> list[NetworkPolicy]:
    """Give the policies: everything is refused, then what is needed allowed.

    Args:
        api_server_port: where the API server listens on its nodes.
        asks_metadata_service: evidence needs certificates of the cloud.
        asks_key_management: keys are wrapped outside of the cluster.
    """
    api_server = _to(api_server_port)
    metadata_service = [_to(_HTTP, NetworkPolicyPeer(ipBlock=IPBlock(cidr=METADATA_SERVICE)))]
    to_collect = metadata_service if asks_metadata_service else []
    to_keys = _to(KEY_SERVICE_PORT, NetworkPolicyPeer(podSelector=LabelSelector(matchLabels=Service.KEYS.selector)))
    key_clients = NetworkPolicyPeer(podSelector=LabelSelector(matchLabels=dict(KEY_CLIENT)))
    outside = [_to(_HTTPS), _name_service()] if asks_key_management else []
    return [
        _policy("default-deny", LabelSelector(), [], []),
        _allow(Service.JOIN, [_from(JOIN_PORT)], [api_server, to_keys, _name_service(), *to_collect]),
        _allow(Service.KEYS, [_from(KEY_SERVICE_PORT, key_clients)], [api_server, *outside]),
        _allow(Service.VERIFY, [_from(VERIFICATION_PORT), _from(VERIFICATION_HTTP_PORT)], to_collect),
        _allow(Service.STORAGE, [], [api_server]),
        _policy("metrics", LabelSelector(matchLabels=dict(PART_OF)), [_from(STATUS, _scrapers())], []),
    ]


def _metrics(service: Service) -> KubernetesService:
    return _service(service, ServiceSpec(clusterIP="None", ports=[_port(STATUS, STATUS_PORT)]), suffix="-metrics")


def _service(service: Service, spec: ServiceSpec, *, suffix: str = "") -> KubernetesService:
    spec.selector = service.selector
    metadata = ObjectMeta(name=f"{service}{suffix}", namespace=NAMESPACE, labels=service.labels)
    return KubernetesService(metadata=metadata, spec=spec)


def _port(name: str, port: int, *, node_port: int | None = None) -> ServicePort:
    return ServicePort(name=name, port=port, targetPort=name, nodePort=node_port, protocol="TCP")


def _allow(
    service: Service, ingress: list[NetworkPolicyIngressRule], egress: list[NetworkPolicyEgressRule]
) -> NetworkPolicy:
    return _policy(service, LabelSelector(matchLabels=service.selector), ingress, egress)


def _policy(
    name: str,
    pods: LabelSelector,
    ingress: list[NetworkPolicyIngressRule],
    egress: list[NetworkPolicyEgressRule],
) -> NetworkPolicy:
    spec = NetworkPolicySpec(podSelector=pods, policyTypes=["Ingress", "Egress"], ingress=ingress, egress=egress)
    return NetworkPolicy(metadata=ObjectMeta(name=name, namespace=NAMESPACE, labels=dict(PART_OF)), spec=spec)


def _from(port: int | str, *peers: NetworkPolicyPeer) -> NetworkPolicyIngressRule:
    """Allow what comes to a port, from some peers or from anyone."""
    return NetworkPolicyIngressRule(from_=list(peers) or None, ports=[NetworkPolicyPort(port=port, protocol="TCP")])


def _to(port: int, *peers: NetworkPolicyPeer) -> NetworkPolicyEgressRule:
    """Allow what goes to a port, of some peers or of anyone."""
    return NetworkPolicyEgressRule(to=list(peers) or None, ports=[NetworkPolicyPort(port=port, protocol="TCP")])


def _name_service() -> NetworkPolicyEgressRule:
    namespace = LabelSelector(matchLabels={"kubernetes.io/metadata.name": SYSTEM_NAMESPACE})
    peer = NetworkPolicyPeer(
        namespaceSelector=namespace, podSelector=LabelSelector(matchLabels={"k8s-app": "kube-dns"})
    )
    ports = [NetworkPolicyPort(port=_DNS, protocol=protocol) for protocol in ("UDP", "TCP")]
    return NetworkPolicyEgressRule(to=[peer], ports=ports)


def _scrapers() -> NetworkPolicyPeer:
    return NetworkPolicyPeer(namespaceSelector=LabelSelector(matchLabels=dict(SCRAPER)))
