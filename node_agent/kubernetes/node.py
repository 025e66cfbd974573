# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Kubernetes on this node: made, joined, or started again after a boot.

    kubernetes = Kubernetes(prepare_containerd=store.seed)
    kubeconfig = await kubernetes.init(plan, report)

1. The image's programs must be the cluster's.
2. What has to be done is written down, on the encrypted disk (`node_agent.kubernetes.setup`).
3. What an earlier attempt left is removed; our files are written. But a member of etcd stays one, and starts at once.
4. containerd starts, with the images of the measured root.
5. kubeadm makes or joins the cluster; it starts the kubelet. Who joins asks first who the cluster's authority is.
6. The first control plane gives its cluster our first objects (`node_agent.kubernetes.objects`).
7. It is written down that nothing more has to be done.

A boot that finds 2 without 7 does 3 to 7 again. What happens in memory is lost by then, and needed by none of them.
Within one boot nothing is tried twice: programs of the first attempt may still run, and only a boot ends them all.
"""

# ruff: noqa: PLC0415 - a node that serves keeps none of what only setting up needs (docs/adr/0027)

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from constellation_core.keys.secret import Secret
from node_agent.errors import PermanentError, TemporaryError
from node_agent.kubernetes import setup
from node_agent.kubernetes.kubeadm import run_kubeadm
from node_agent.kubernetes.paths import ADMIN, CLUSTER_AUTHORITY, PROGRAMS, SUPER_ADMIN
from node_agent.kubernetes.patience import PROCESSORS, Patience
from node_agent.kubernetes.setup import FINISHED, Kind
from node_agent.programs import follow

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from ipaddress import IPv4Address

    from constellation_core.component_list import Component
    from node_agent.kubernetes.setup import Setup
    from node_agent.parts import ClusterPlan, JoinPlan, Report

COMPONENTS: Final = Path("/usr/lib/constellation/image/components.json")
CONTAINERD: Final = "containerd.service"
KUBELET: Final = "kubelet.service"
ATTEMPT: Final = Path("/run/constellation/kubernetes-attempt")
"""Is there when this boot has begun to set Kubernetes up."""


class Kubernetes:
    """Kubernetes on this node; see `node_agent.parts.Kubernetes`.

    Args:
        prepare_containerd: fills containerd's folder on the state disk with the images of the measured root; called
            before containerd starts, at every boot.
        patience: how slow this machine is; None to find out.
        components: list of programs in the measured root.
    """

    def __init__(
        self,
        *,
        prepare_containerd: Callable[[], Awaitable[None]],
        patience: Patience | None = None,
        components: Path = COMPONENTS,
    ) -> None:
        self._prepare_containerd = prepare_containerd
        self._patience = patience or Patience.of(PROCESSORS.read_text(encoding="utf-8", errors="replace"))
        self._components = components

    async def init(self, plan: ClusterPlan, report: Report) -> bytes:
        """Make a cluster, with our objects in it.

        Args:
            plan: of the cluster.
            report: takes progress.

        Returns:
            Kubeconfig of an administrator, for the endpoint of the plan.

        Raises:
            PermanentError: the image is not the cluster's, or a program fails; with its last lines.
        """
        from node_agent.kubernetes.steps import init_setup

        self._check_components(plan.components, plan.kubernetes_version)
        await self._begin(init_setup(plan, self._patience), report)
        return ADMIN.read_bytes()

    async def join(
        self, plan: JoinPlan, report: Report, *, resumable: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Join a cluster.

        Args:
            plan: what a ticket says.
            report: takes progress.
            resumable: awaited when all is on the disk that `start_kubelet` needs to go on, and the cluster knows of
                nothing yet. From then on the disk must not be formatted again: a member of etcd that forgot what it
                voted for can stop a cluster of two.

        Raises:
            PermanentError: the image is not the cluster's, the ticket is not for us, or a program fails.
        """
        from node_agent.kubernetes.steps import join_setup

        self._check_components(plan.components, plan.kubernetes_version)
        await self._begin(join_setup(plan, self._patience), report, resumable)

    async def start_kubelet(self, report: Report) -> None:
        """Start what an earlier boot has set up; finish it where that did not.

        Raises:
            PermanentError: nothing was set up, or a program fails.
        """
        found = setup.load()
        if found is None:
            raise PermanentError(
                "Kubernetes was never set up on this disk",
                hint="the power was cut before init or join wrote anything: let the node join, or init, again",
            )
        if found.kind is Kind.FINISHED:
            await self._start_containerd(report)
            report("kubelet")
            await self._systemctl("start", KUBELET)
        else:
            report(f"{found.kind} was not finished: it begins anew")
            await self._carry_out(found, report)

    async def keep_members(self, own: IPv4Address, news: asyncio.Event) -> None:
        """Take control planes out of etcd that the cluster forgot; see `node_agent.kubernetes.etcd_members`."""
        from node_agent.kubernetes.etcd_members import keep_members

        await keep_members(own, news)

    def _check_components(self, wanted: Iterable[Component], kubernetes_version: str) -> None:
        from node_agent.kubernetes.components import check_components, measured_components

        measured = measured_components(self._components)
        check_components(measured=measured, wanted=wanted, kubernetes_version=kubernetes_version)  # 1

    async def _begin(self, work: Setup, report: Report, resumable: Callable[[], Awaitable[None]] | None = None) -> None:
        before = setup.load()
        if before is None or before.kind is not Kind.JOIN:
            await asyncio.to_thread(setup.clear)  # else data of another etcd would look like this node's membership
        await asyncio.to_thread(setup.save, work)  # 2
        if resumable is not None:
            await resumable()
        await self._carry_out(work, report)

    async def _carry_out(self, work: Setup, report: Report) -> None:
        _once_a_boot()
        is_member = setup.is_member(work)
        if not is_member:
            await asyncio.to_thread(setup.clear)  # 3
            await asyncio.to_thread(setup.lay_out, work)
        await self._start_containerd(report)  # 4
        if is_member:
            await self._systemctl("start", KUBELET)
        if work.kind is Kind.JOIN:
            await self._place_authority(work, report)  # a cluster of two answers when this member of etcd is back
        await self._run_kubeadm(work, report, is_member=is_member)  # 5
        if work.objects is not None:
            from node_agent.kubernetes.objects import apply_objects

            await apply_objects(work.objects, patience=self._patience, report=report)  # 6
        SUPER_ADMIN.unlink(missing_ok=True)  # the way around RBAC that init needs, and nobody after it
        await asyncio.to_thread(setup.save, FINISHED)  # 7

    async def _place_authority(self, work: Setup, report: Report) -> None:
        """Write the certificate by which this node knows its API server."""
        from node_agent.kubernetes.authority import find_authority

        limit = 10 * self._patience.call_timeout
        pem = await find_authority(work.endpoint, work.ca_hash, time_limit=limit, report=report)
        await asyncio.to_thread(setup.write_secret, CLUSTER_AUTHORITY, Secret(pem))

    async def _run_kubeadm(self, work: Setup, report: Report, *, is_member: bool) -> None:
        end = time.monotonic() + self._patience.setup_timeout
        documents = work.documents or Secret(b"{}")
        while True:
            try:
                await run_kubeadm(work.kind, documents, is_member=is_member, patience=self._patience, report=report)
            except TemporaryError as error:
                if time.monotonic() + error.delay > end:
                    raise PermanentError(str(error), hint=error.hint) from None
                report(f"{error}; again in {error.delay:g} s")
                await asyncio.sleep(error.delay)
            else:
                return

    async def _start_containerd(self, report: Report) -> None:
        report("containerd")
        await self._prepare_containerd()
        await self._systemctl("start", CONTAINERD)

    async def _systemctl(self, *arguments: str) -> None:
        await follow([PROGRAMS / "systemctl", *arguments], time_limit=4 * self._patience.call_timeout)


def _once_a_boot() -> None:
    try:
        ATTEMPT.touch(exist_ok=False)
    except FileExistsError:
        raise PermanentError(
            "Kubernetes was not set up in the first attempt of this boot", hint="the next boot begins anew"
        ) from None
