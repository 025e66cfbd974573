# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation_cluster`: a cluster of machines that are there.

What makes it, changes it and looks at it is in `cluster_work` and `cluster_reading`; what is refused before anything
happens, in `cluster_plan`.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from constellation_core import rules
from terraform_provider_constellation.errors import detail_of, is_told, telling
from terraform_provider_constellation.objects.attestation import Attestation  # noqa: TC001 - annotations are the schema
from terraform_provider_constellation.objects.join_policy import (
    ControlPlaneLimits,
    join_config_document,
    same_join_config,
)
from terraform_provider_constellation.plugin.api import (
    Change,
    ForeignState,
    Model,
    Operation,
    Problem,
    ProviderError,
    Resource,
    StoppedError,
    TimeLimits,
    Timeouts,
    at_most_one_of,
    block,
    computed,
    keep,
    optional,
    replace,
    required,
    rule,
)
from terraform_provider_constellation.resources.long_work import stoppable
from terraform_provider_constellation.resources.node_image import image_value, same_image

if TYPE_CHECKING:
    from collections.abc import Iterator

AGAIN = "Apply again: it goes on from what is there."


class NetworkConfig(Model):
    """Addresses of a cluster. They cannot change while it lives."""

    ip_cidr_node: str | None = optional("Of machines, as the infrastructure has them.", validators=[rules.node_network])
    ip_cidr_service: str = optional("Of Services.", default="10.96.0.0/12", validators=[rules.service_network])
    ip_cidr_pod: str = optional("Of pods.", default="10.244.0.0/16", validators=[rules.pod_network])

    @rule
    def networks_are_apart(self) -> Iterator[Problem]:
        """What two networks share nobody could reach."""
        named = {"nodes": self.ip_cidr_node, "Services": self.ip_cidr_service, "pods": self.ip_cidr_pod}
        if expected := rules.networks_apart({name: network for name, network in named.items() if network}):
            yield Problem("Invalid combination", f"Expected {expected}.")


class ClusterNode(Model):
    """A node, by the word of the API server. What it booted, `data.constellation_verification` asks the node itself."""

    name: str = computed("Of the node.")
    role: str = computed("`control-plane` or `worker`.")
    ready: bool = computed("Whether its kubelet says so.")
    attested: bool = computed("Whether it was attested when it joined.")
    reason: str | None = computed("Why it is not ready.")
    kubernetes_version: str = computed("Version of its kubelet.")


class Cluster(Model):
    """A confidential cluster, made of machines that run.

    The first node is attested before it gets a secret, and lets in those that prove the same; in the end every node is
    verified. All of it is in the workspace of the machines: secrets, kubeconfig, log. No secret is in the state:
    `ephemeral.constellation_kubeconfig` gives the kubeconfig to other providers.

    Every plan looks at the cluster. What is not as it should be is in `problems`, and apply repairs it. An interrupted
    apply goes on where it was. If a new cluster is not up in the end, that is a warning: after an error Terraform would
    destroy it. A `postcondition` on `ready` makes it an error that does not.

    For who comes from `edgelesssys/constellation`: `kubeconfig`, `client_certificate` and `client_key` would be secrets
    in the state, and are not attributes; `kubeconfig_path` and `ephemeral.constellation_kubeconfig` take their place. A
    `moved` block takes over the name, uid and kubeconfig of such a cluster, and its secrets leave the state. Its
    machines are not of this provider: the cluster can be looked at and forgotten, and not changed. Import takes the
    path of a workspace, or a URL `constellation-cluster://?kubeConfig=…`.
    """

    workspace: str = required("`workspace` of the machines.", plan=[replace])
    name: str = optional(
        "Of the cluster; the machines have it too.", computed=True, plan=[keep], validators=[rules.cluster_name]
    )
    uid: str = optional(
        "`uid` of the machines. With others it is another cluster.", computed=True, plan=[keep, replace]
    )
    machines: list[str] = optional(
        "`names` of the machines: when they change, those that are new join, and all are verified.",
        computed=True,
        plan=[keep],
    )
    image: Any = optional("What the machines must have booted.", validators=[image_value], same=same_image)
    kubernetes_version: str = optional(
        "Version of Kubernetes, which the image brings.",
        computed=True,
        plan=[keep],
        validators=[rules.kubernetes_version],
        same=lambda one, other: rules.canonical_kubernetes_version(one) == rules.canonical_kubernetes_version(other),
    )
    api_server_cert_sans: list[str] | None = optional(
        "Further names of the API server in its certificate.", validators=[rules.certificate_sans]
    )
    network_config: NetworkConfig | None = optional("Addresses.")
    attestation: Attestation | None = optional(
        "What machines must be to join. Default: what the image of these measures."
    )
    control_planes: ControlPlaneLimits | None = optional(
        "Who may become a control plane. Default: as many as there are machines for it."
    )
    join_config: str = optional(
        "Which machines may join: the whole document, YAML. Default: written from `attestation` and `control_planes`.",
        computed=True,
        plan=[keep],
        validators=[join_config_document],
        same=same_join_config,
    )
    master_secret: str | None = optional(
        "What every key derives from: 64 digits 0-9, a-f. It is in the state then; `master_secret_wo` is not. Default: "
        "the workspace's own.",
        sensitive=True,
        validators=[rules.hexadecimal(32)],
    )
    master_secret_wo: str | None = optional(
        "The same, stored nowhere but in the workspace.",
        sensitive=True,
        write_only=True,
        validators=[rules.hexadecimal(32)],
    )
    master_secret_wo_version: int | None = optional("Which secret that is; it is read when this changes.")
    master_secret_salt: str | None = optional(
        "Its salt: 64 digits 0-9, a-f. Default: the workspace's own.", validators=[rules.hexadecimal(32)]
    )
    on_destroy: Literal["forget", "wipe"] = optional(
        "`forget` leaves the cluster alone when the resource is destroyed. `wipe` removes machines, disks and secrets.",
        default="forget",
    )
    cluster_id: str | None = computed("ID of the cluster, which every node carries as its mark.", plan=[keep])
    kubeconfig_path: str | None = computed("File of the administrator's kubeconfig.", plan=[keep])
    host: str | None = computed("URL of the API server.", plan=[keep])
    cluster_ca_certificate: str | None = computed("Who certified the API server, PEM.", plan=[keep])
    in_cluster_endpoint: str | None = computed("Where nodes reach the API server.", plan=[keep])
    out_of_cluster_endpoint: str | None = computed("Where this host reaches the API server.", plan=[keep])
    ready: bool = computed("Whether the cluster is up, and as it should be.")
    reachable: bool = computed("Whether the API server answers, as the one of this cluster.")
    attested: bool = computed("Whether every node was attested when it joined.")
    nodes: list[ClusterNode] = computed("The nodes.")
    problems: list[str] = computed("What is not as it should be. A plan that finds something repairs it.")
    timeouts: Timeouts | None = block("How long things may take.")

    secrets = at_most_one_of("master_secret", "master_secret_wo")
    documents = at_most_one_of("join_config", "attestation")
    limits = at_most_one_of("join_config", "control_planes")

    @rule
    def a_secret_has_a_version(self) -> Iterator[Problem]:
        """Terraform cannot see that a write-only value changed."""
        if self.master_secret_wo is not None and self.master_secret_wo_version is None:
            detail = "With master_secret_wo also master_secret_wo_version must be given."
            yield Problem("Invalid combination", detail, "master_secret_wo")

    @rule
    def a_salt_has_a_secret(self) -> Iterator[Problem]:
        """By itself it would have no effect."""
        if self.master_secret_salt is not None and self.master_secret is None and self.master_secret_wo is None:
            detail = "With master_secret_salt also master_secret or master_secret_wo must be given."
            yield Problem("Invalid combination", detail, "master_secret_salt")


class ClusterResource(Resource[Cluster]):
    """Makes clusters, looks at them, changes them."""

    name = "constellation_cluster"
    limits: ClassVar[TimeLimits] = TimeLimits(create=timedelta(hours=2), update=timedelta(hours=2))

    async def plan(self, change: Change[Cluster]) -> None:
        """Refuse what cannot be, and plan repairs."""
        from terraform_provider_constellation.resources import cluster_plan  # noqa: PLC0415 - Terraform starts us often

        await asyncio.to_thread(cluster_plan.plan, change)

    async def create(self, plan: Cluster, call: Operation[Cluster]) -> Cluster:
        """Make it, or go on with it."""
        from terraform_provider_constellation.resources import cluster_work  # noqa: PLC0415 - as above

        work = await asyncio.to_thread(cluster_work.prepared, plan, call)
        try:
            await stoppable(call, work.bring_up)
        except Exception as error:
            if not is_told(error) and not isinstance(error, StoppedError):
                raise
            if not work.is_initialised():  # nothing is there yet that Terraform could destroy
                raise ProviderError("The cluster could not be made", f"{detail_of(error)} {AGAIN}") from error
            call.warn("The cluster is not up yet", f"{detail_of(error)} {AGAIN}")
        return await asyncio.to_thread(work.described, plan)

    async def read(self, state: Cluster, call: Operation[Cluster]) -> Cluster | None:
        """Look at it."""
        from terraform_provider_constellation.resources import cluster_reading  # noqa: PLC0415 - as above

        del call
        with telling("The cluster cannot be looked at", at="workspace"):
            return await asyncio.to_thread(cluster_reading.look, state)

    async def update(self, prior: Cluster, plan: Cluster, call: Operation[Cluster]) -> Cluster:
        """Change it, or bring it up again."""
        from terraform_provider_constellation.resources import cluster_work  # noqa: PLC0415 - as above

        work = await asyncio.to_thread(cluster_work.prepared, plan, call)
        try:
            with telling("The cluster is not as it should be"):
                await stoppable(call, lambda go_on: work.bring_to(prior, go_on))
        finally:
            found = await asyncio.to_thread(work.described, plan)
            call.save(found)
        if found.problems:
            raise ProviderError("The cluster is not as it should be", f"{'; '.join(found.problems)}.")
        return found

    async def delete(self, state: Cluster, call: Operation[Cluster]) -> None:
        """Forget it, or remove all of it but the place."""
        from terraform_provider_constellation.resources import cluster_work  # noqa: PLC0415 - as above

        with telling("The cluster cannot be removed", at="workspace"):
            await stoppable(call, lambda _: cluster_work.remove(state))

    async def import_state(self, id_: str, call: Operation[Cluster]) -> Cluster:
        """Take over the cluster of a workspace, or of a `constellation-cluster://` URL."""
        from terraform_provider_constellation.resources import cluster_import  # noqa: PLC0415 - as above

        with telling("There is no cluster to import"):
            return await asyncio.to_thread(cluster_import.found, id_, call)

    async def move(self, source: ForeignState, call: Operation[Cluster]) -> Cluster:
        """Take over a cluster of the earlier provider."""
        from terraform_provider_constellation.resources import cluster_import  # noqa: PLC0415 - as above

        if not cluster_import.is_earlier(source):
            return await super().move(source, call)
        with telling("The cluster cannot be moved"):
            return await asyncio.to_thread(cluster_import.moved, source, call)
