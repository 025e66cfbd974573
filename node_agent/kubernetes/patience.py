# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""How long this machine may take: decided once, by what it is.

An emulated processor is ten to thirty times slower than a real one. Timeouts that are right for that would hide trouble
on real machines, so there are two of each.
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

PROCESSORS: Final = Path("/proc/cpuinfo")
_EMULATED: Final = "QEMU TCG CPU"  # what QEMU's own processor models are called (target/i386/cpu.c)

_TIMEOUTS: Final = {  # seconds on a real machine, after `kubeadm config print init-defaults`
    "controlPlaneComponentHealthCheck": 240,
    "discovery": 300,
    "etcdAPICall": 120,
    "kubeletHealthCheck": 240,
    "kubernetesAPICall": 60,
    "tlsBootstrap": 300,
}


class Patience(Enum):
    """How slow a machine is; the value is the factor for timeouts."""

    REAL = 1
    EMULATED = 6

    @classmethod
    def of(cls, processors: str) -> Patience:
        """Decide by the text of /proc/cpuinfo."""
        return cls.EMULATED if _EMULATED in processors else cls.REAL

    @property
    def setup_timeout(self) -> float:
        """Seconds for all of `kubeadm init` or `kubeadm join`."""
        return 600.0 * self.value

    @property
    def call_timeout(self) -> float:
        """Seconds for one short program, or one call of the API server."""
        return 30.0 * self.value

    @property
    def kubeadm_timeouts(self) -> dict[str, str]:
        """`timeouts` of a kubeadm configuration."""
        return {name: f"{seconds * self.value}s" for name, seconds in _TIMEOUTS.items()}

    @property
    def etcd(self) -> Mapping[str, str]:
        """Arguments of etcd; milliseconds."""
        return {} if self is Patience.REAL else {"heartbeat-interval": "500", "election-timeout": "5000"}

    @property
    def api_server(self) -> Mapping[str, str]:
        """Arguments of the API server, which is not healthy while etcd takes longer than two seconds to answer.

        Whoever starts meanwhile ends: the controller manager waits ten seconds for it, and is tried ever more seldom.
        """
        if self is Patience.REAL:
            return {}
        return {"etcd-healthcheck-timeout": "8s", "etcd-readycheck-timeout": "8s"}

    @property
    def leader_election(self) -> Mapping[str, str]:
        """Arguments of controller manager and scheduler, which end when they cannot renew their lease in time."""
        if self is Patience.REAL:
            return {}
        return {
            "leader-elect-lease-duration": "60s",
            "leader-elect-renew-deadline": "45s",
            "leader-elect-retry-period": "5s",
        }
