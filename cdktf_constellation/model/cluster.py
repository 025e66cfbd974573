# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation_cluster`: a confidential cluster."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from cdktf_constellation.model.block import Addressed, Block
from cdktf_constellation.model.expectations import Problem, anything, flag, instance, number, secret, text, texts
from cdktf_constellation.model.image import image_value
from cdktf_constellation.model.lifecycle import Condition, Timeouts
from cdktf_constellation.model.record import Record
from cdktf_constellation.model.references import Reference, is_unknown
from constellation_core import rules
from constellation_core.networks import DEFAULT_POD_NETWORK, DEFAULT_SERVICE_NETWORK
from constellation_core.rules import OnDestroy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cdktf_constellation.model.machines import MachinesOutputs

__all__ = ["ClusterOutputs", "ConfidentialCluster", "ControlPlaneLimits", "NetworkConfig", "OnDestroy"]

_READY: Final = Condition(
    condition=Reference.of("self.ready"), error_message='Not up yet: ${join("; ", self.problems)}. Apply again.'
)
_ALTERNATIVES: Final = (
    ("master_secret", "master_secret_wo"),
    ("join_config", "attestation"),
    ("join_config", "control_planes"),
)


def _join_config(document: str) -> str | None:
    from constellation_core.errors import ConfigError  # noqa: PLC0415 - few write one, and it takes long to import
    from constellation_core.join_config import JoinConfig  # noqa: PLC0415

    try:
        JoinConfig.from_yaml(document)
    except ConfigError as error:
        return f"a join-config ({error})"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig(Record):
    """Addresses of the cluster; they cannot be changed later.

    Attributes:
        ip_cidr_node: of machines, as the infrastructure has them.
        ip_cidr_service: of Services.
        ip_cidr_pod: of pods.
    """

    ip_cidr_node: str | None = field(default=None, metadata=text(rules.node_network))
    ip_cidr_service: str | None = field(default=None, metadata=text(rules.service_network))
    ip_cidr_pod: str | None = field(default=None, metadata=text(rules.pod_network))

    def problems(self) -> Iterator[Problem]:
        """See that no two networks overlap."""
        networks = {
            "nodes": self.ip_cidr_node,
            "Services": self.ip_cidr_service or str(DEFAULT_SERVICE_NETWORK),
            "pods": self.ip_cidr_pod or str(DEFAULT_POD_NETWORK),
        }
        known = {name: network for name, network in networks.items() if network and not is_unknown(network)}
        if expected := rules.networks_apart(known):
            yield Problem("network_config", expected)


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPlaneLimits(Record):
    """Who may become a control plane.

    Attributes:
        max: how many there may be.
        approval: whether an administrator approves each.
    """

    max: int | str | None = field(default=None, metadata=number(rules.control_plane_limit))
    approval: bool | None = field(default=None, metadata=flag())


class ClusterOutputs(Addressed):
    """What Terraform knows of a cluster."""

    __slots__ = ()

    @property
    def cluster_id(self) -> Reference:
        """ID of the cluster, hexadecimal."""
        return self.output("cluster_id")

    @property
    def kubeconfig_path(self) -> Reference:
        """File of the administrator's kubeconfig."""
        return self.output("kubeconfig_path")

    @property
    def host(self) -> Reference:
        """URL of the API server."""
        return self.output("host")

    @property
    def cluster_ca_certificate(self) -> Reference:
        """Who certified the API server, PEM."""
        return self.output("cluster_ca_certificate")

    @property
    def in_cluster_endpoint(self) -> Reference:
        """Where nodes reach the API server, `host:port`."""
        return self.output("in_cluster_endpoint")

    @property
    def out_of_cluster_endpoint(self) -> Reference:
        """Where this host reaches the API server, `host:port`."""
        return self.output("out_of_cluster_endpoint")

    @property
    def ready(self) -> Reference:
        """Whether the cluster is up, and as it should be."""
        return self.output("ready")

    @property
    def nodes(self) -> Reference:
        """The nodes, a list of objects: name, role, ready, attested, reason, kubernetes_version."""
        return self.output("nodes")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidentialCluster(ClusterOutputs, Block):
    """A cluster whose nodes prove what they booted before they get a secret.

    Attributes:
        workspace: folder of the cluster, made by its machines.
        name: of the cluster.
        uid: of the machines; with others it is another cluster.
        machines: names of the machines: when they change, new ones join, and all are verified.
        image: `image` of a `NodeImage`, or the folder of an image.
        kubernetes_version: as "v1.36.4"; the image must bring it.
        api_server_cert_sans: further names of the API server.
        network_config: addresses inside.
        attestation: who may join: `attestation` of an `AttestationPolicy`.
        control_planes: who may become a control plane.
        join_config: which machines may join, the whole document, YAML, instead of the two before.
        master_secret: what every key derives from, 64 hexadecimal digits; Terraform stores it in the state.
        master_secret_wo: the same, which Terraform does not store; wants Terraform 1.11.
        master_secret_wo_version: to be counted up when `master_secret_wo` changes.
        master_secret_salt: its salt, 64 hexadecimal digits.
        on_destroy: what happens to it when nobody wants it any more.
        timeouts: how long things may take.
        must_be_ready: whether an apply fails where the cluster is not up in the end. Nothing is lost then: the next one
            goes on. Else that is a warning.
    """

    TYPE: ClassVar[str] = "constellation_cluster"

    workspace: str = field(metadata=text())
    name: str | None = field(default=None, metadata=text(rules.cluster_name))
    uid: str | None = field(default=None, metadata=text())
    machines: Sequence[str] | Reference | None = field(default=None, metadata=texts())
    image: str | Mapping[str, Any] | None = field(default=None, metadata=anything(image_value))
    kubernetes_version: str | None = field(default=None, metadata=text(rules.kubernetes_version))
    api_server_cert_sans: Sequence[str] | None = field(default=None, metadata=texts(rules.certificate_sans))
    network_config: NetworkConfig | None = field(default=None, metadata=instance(NetworkConfig))
    attestation: Reference | Mapping[str, Any] | None = field(default=None, metadata=anything())
    control_planes: ControlPlaneLimits | None = field(default=None, metadata=instance(ControlPlaneLimits))
    join_config: str | None = field(default=None, metadata=text(_join_config))
    master_secret: str | None = field(default=None, repr=False, metadata=secret(rules.hexadecimal(32)))
    master_secret_wo: str | None = field(default=None, repr=False, metadata=secret(rules.hexadecimal(32)))
    master_secret_wo_version: int | str | None = field(default=None, metadata=number())
    master_secret_salt: str | None = field(default=None, metadata=text(rules.hexadecimal(32)))
    on_destroy: OnDestroy | str | None = field(default=None, metadata=text(rules.on_destroy))
    timeouts: Timeouts | None = field(default=None, metadata=instance(Timeouts))

    must_be_ready: bool = True

    @classmethod
    def on(cls, machines: MachinesOutputs, label: str, **arguments: Any) -> Self:  # noqa: ANN401 - as of the class
        """Describe a cluster of machines: workspace, name, uid, image and names are theirs.

        Args:
            machines: what it runs on.
            label: name in Terraform.
            **arguments: the rest, as of the class.

        Raises:
            InvalidDescriptionError: something of it cannot be.
        """
        theirs = {name: machines.output(name) for name in ("workspace", "name", "uid", "image")}
        theirs["machines"] = machines.output("names")
        return cls(label, **{**theirs, **arguments})

    def postconditions(self) -> Sequence[Condition]:
        """Give the condition that makes an apply fail."""
        return [_READY] if self.must_be_ready else ()

    def problems(self) -> Iterator[Problem]:
        """Say each thing once, and what belongs together together."""
        for one, other in _ALTERNATIVES:
            if getattr(self, one) is not None and getattr(self, other) is not None:
                yield Problem(one, f"{one} or {other}, not both")
        if self.master_secret_wo is not None and self.master_secret_wo_version is None:
            yield Problem("master_secret_wo_version", "a number with master_secret_wo: Terraform cannot see it change")
        if self.master_secret_salt is not None and self.master_secret is None and self.master_secret_wo is None:
            yield Problem("master_secret_salt", "master_secret or master_secret_wo with it")
