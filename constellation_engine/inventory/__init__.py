# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Which machines and nodes there are, for tools that want a list of hosts: from a workspace, or from a Terraform state.

    found = inventory_of_workspace(Workspace.open(folder))
    found = inventory_of_terraform_state(path.read_bytes())

Both say the same of the same cluster. Neither holds a secret: a host is described by the few fields of `Host`.
"""

from __future__ import annotations

from constellation_engine.inventory.host import Host, Inventory
from constellation_engine.inventory.of_terraform import inventory_of_terraform_state
from constellation_engine.inventory.of_workspace import inventory_of_workspace

__all__ = ["Host", "Inventory", "inventory_of_terraform_state", "inventory_of_workspace"]
