# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The nodes of clusters as hosts, from a workspace or a Terraform state."""

from __future__ import annotations

DOCUMENTATION = r"""
name: state
short_description: The nodes of clusters as hosts, from a workspace or a Terraform state
version_added: 0.1.0
description:
  - Lists the machines of a cluster that C(constellation mini), this collection or the Terraform provider made.
  - Reads the files itself, and starts neither Terraform nor anything else.
  - Nobody logs in to a node. Tasks for these hosts run on this machine, where they ask the node over its API, so that
    each host has C(ansible_connection=local).
  - Every host is in the group V(nodes), and in C(control_planes) or C(workers), in C(attested) or C(unattested), and in
    C(image_NAME) where the image is known.
  - Each has the variables C(constellation_role), C(constellation_cluster), C(constellation_workspace),
    C(constellation_image), C(constellation_state), C(constellation_address), C(constellation_endpoints) and
    C(constellation_attested). None of them is a secret.
author:
  - The Constellation authors (@constellation-kubernetes)
extends_documentation_fragment:
  - ansible.builtin.constructed
requirements:
  - constellation-kubernetes[engine] on the controller
options:
  plugin:
    description: Says that the file is for this plugin.
    required: true
    choices:
      - constellation.core.state
  workspace:
    description:
      - Folder of a cluster. Relative to the inventory file.
      - Exactly one of O(workspace) and O(terraform_state) is needed.
    type: str
  terraform_state:
    description:
      - File of a Terraform state, format version 4. Relative to the inventory file.
      - With a remote state, write the output of C(terraform state pull) into a file.
    type: str
  cluster:
    description:
      - Only hosts of the cluster of this name, where a Terraform state has several.
    type: str
  ask:
    description:
      - Whether the API server of the cluster in O(workspace) is asked who was attested when it joined.
      - If V(false), or if it does not answer, no host is in the group V(attested).
    type: bool
    default: true
  timeout:
    description:
      - Seconds that the API server may take to answer.
    type: int
    default: 5
"""

EXAMPLES = r"""
# constellation.yml: a cluster of this machine
plugin: constellation.core.state
workspace: ~/clusters/mini

---
# clusters.constellation.yml: what Terraform made, with groups and variables of your own
plugin: constellation.core.state
terraform_state: ../terraform/terraform.tfstate
keyed_groups:
  - key: constellation_cluster
    prefix: cluster
groups:
  in_trouble: constellation_state != 'running'
compose:
  verification: constellation_endpoints.verification
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Constructable, to_safe_group_name

from ansible_collections.constellation.core.plugins.plugin_utils.refusing import refusing

if TYPE_CHECKING:
    from ansible.inventory.data import InventoryData
    from ansible.parsing.dataloader import DataLoader

    from constellation_engine.inventory import Host, Inventory

FILES = ("constellation.yml", "constellation.yaml")
HERE = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}


class InventoryModule(BaseInventoryPlugin, Constructable):
    """Reads files that end with `constellation.yml`."""

    NAME = "constellation.core.state"

    def verify_file(self, path: str) -> bool:
        """Whether a file could be for this plugin."""
        return bool(super().verify_file(path)) and path.endswith(FILES)

    def parse(self, inventory: InventoryData, loader: DataLoader, path: str, cache: bool = True) -> None:  # noqa: FBT001, FBT002
        """Add the hosts."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        found = self._found(Path(path).parent)
        for gap in found.gaps:
            self.display.warning(gap)
        wanted = [host for host in found.hosts if self.get_option("cluster") in (None, host.cluster)]
        _require_unique([host.name for host in wanted])
        for host in wanted:
            self._add(inventory, host)

    def _found(self, here: Path) -> Inventory:
        with refusing(AnsibleParserError, self.NAME):
            try:
                return self._read(here)
            except OSError as error:
                raise AnsibleParserError(f"{self.NAME}: Option terraform_state: {error}.") from error

    def _read(self, here: Path) -> Inventory:
        from constellation_engine.inventory import inventory_of_terraform_state, inventory_of_workspace
        from constellation_engine.local_cluster import Workspace

        workspace, state = self.get_option("workspace"), self.get_option("terraform_state")
        if (workspace is None) == (state is None):
            message = f"{self.NAME}: Options workspace and terraform_state: expected exactly one of them."
            raise AnsibleParserError(message)
        if state is not None:
            return inventory_of_terraform_state((here / Path(state).expanduser()).read_bytes())
        ask, patience = self.get_option("ask"), self.get_option("timeout")
        folder = here / Path(workspace).expanduser()
        return inventory_of_workspace(Workspace.open(folder), ask=ask, patience=patience)

    def _add(self, inventory: InventoryData, host: Host) -> None:
        inventory.add_host(host.name)
        variables = {**HERE, **_described(host)}
        for name, value in variables.items():
            inventory.set_variable(host.name, name, value)
        for group in _groups(host):
            inventory.add_group(group)
            inventory.add_child(group, host.name)
        strict = self.get_option("strict")
        self._set_composite_vars(self.get_option("compose"), variables, host.name, strict=strict)
        self._add_host_to_composed_groups(self.get_option("groups"), {}, host.name, strict=strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), {}, host.name, strict=strict)


def _described(host: Host) -> dict[str, Any]:
    return {
        "constellation_role": host.role.value,
        "constellation_cluster": host.cluster,
        "constellation_workspace": host.workspace,
        "constellation_image": host.image,
        "constellation_state": host.state,
        "constellation_address": host.address,
        "constellation_endpoints": dict(host.endpoints),
        "constellation_attested": host.attested,
    }


def _groups(host: Host) -> list[str]:
    image = [to_safe_group_name(f"image_{host.image}")] if host.image else []
    role = "control_planes" if host.role.value == "control-plane" else "workers"
    return ["nodes", role, "attested" if host.attested else "unattested", *image]


def _require_unique(names: list[str]) -> None:
    if twice := next((name for name in names if names.count(name) > 1), None):
        message = f"More than one cluster has a node {twice}. Choose a cluster with the option cluster."
        raise AnsibleParserError(message)
