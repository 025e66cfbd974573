# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What is known of a host."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from constellation_core.roles import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A machine of a cluster, and the node that it is.

    Attributes:
        name: of machine and node.
        role: what it is in the cluster.
        cluster: name of the cluster.
        workspace: folder of the cluster on this machine; empty for a cluster that lives elsewhere.
        image: name of the folder of the image that it boots; empty where nobody says.
        state: "running", "stopped", "stuck" or "missing"; empty where nobody says.
        address: where other machines reach it; empty where nobody says.
        endpoints: where this machine reaches its services, "host:port" by name.
        attested: whether it was attested when it joined. What nobody says is not so.
    """

    name: str
    role: Role
    cluster: str
    workspace: str = ""
    image: str = ""
    state: str = ""
    address: str = ""
    endpoints: Mapping[str, str] = field(default_factory=dict)
    attested: bool = False


@dataclass(frozen=True, slots=True)
class Inventory:
    """Hosts, by cluster and then as the cluster counts them: the first control plane first.

    Attributes:
        hosts: all that were found.
        gaps: what could not be asked, for people.
    """

    hosts: tuple[Host, ...]
    gaps: tuple[str, ...] = ()
