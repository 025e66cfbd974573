# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Through which control plane this host reaches the API of a local cluster: the kubeconfig names a port of one of them.

Inside of the cluster every node finds one that serves (docs/adr/0021). Outside, whoever opens a client looks whether
the one in the kubeconfig is still there, and has the file name another where it is not, for kubectl too.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import yaml

from constellation_engine.local_cluster.workspace import write_private
from constellation_engine.machines import machines
from constellation_engine.machines.reachability import listening

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from constellation_engine.local_cluster.workspace import Workspace


def keep_way_to_api(workspace: Workspace) -> None:
    """Have the kubeconfig of a cluster lead to a control plane that answers, as far as there is a choice.

    Raises:
        BringUpError: it is no kubeconfig.
    """
    if workspace.kubeconfig.exists() and workspace.state.spec.control_planes > 1:
        specs = [machine.spec for machine in machines(workspace.machines)]
        ports = [one.host_port for spec in specs for one in spec.forwards if one.name == "api-server"]
        lead(workspace.kubeconfig, ports)


def lead(kubeconfig: Path, ports: Sequence[int]) -> None:
    """Have a kubeconfig name the first port that answers, where the one that it names does not.

    Args:
        kubeconfig: the file.
        ports: of 127.0.0.1, each leading to an API server.

    Raises:
        BringUpError: it is no kubeconfig.
    """
    content = kubeconfig.read_bytes()
    used = _port(content)
    if used is not None and asyncio.run(listening([used])):
        return
    answering = asyncio.run(listening(ports))
    first = next((port for port in ports if port in answering), None)
    if first is not None:
        from constellation_engine.local_cluster.first_node import reachable_from_here  # noqa: PLC0415 - it loads much

        write_private(kubeconfig, reachable_from_here(content, first))


def _port(kubeconfig: bytes) -> int | None:
    try:
        return urlsplit(str(yaml.safe_load(kubeconfig)["clusters"][0]["cluster"]["server"])).port
    except (yaml.YAMLError, KeyError, IndexError, TypeError, ValueError, AttributeError):
        return None
