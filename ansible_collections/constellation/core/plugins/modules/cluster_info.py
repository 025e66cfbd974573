#!/usr/bin/python
# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Look at a cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_info
short_description: Look at a cluster
version_added: 0.1.0
description:
  - Says how a cluster is, by the word of its workspace and of its API server. What does not answer is a problem in the
    answer, and no failure.
  - What nodes booted M(constellation.core.cluster_verify) asks the nodes themselves.
author:
  - The Constellation authors (@constellation-kubernetes)
extends_documentation_fragment:
  - constellation.core.attributes.info
  - constellation.core.workspace.choice
  - constellation.core.kubeconfig
  - constellation.core.timeout
seealso:
  - module: constellation.core.cluster
  - module: constellation.core.cluster_verify
"""

EXAMPLES = r"""
- name: Look at a cluster of this host
  constellation.core.cluster_info:
    workspace: ~/clusters/mini
  register: mini

- name: Look at a cluster that lives elsewhere
  constellation.core.cluster_info:
    kubeconfig: ~/.kube/config
"""

RETURN = r"""
exists:
  description: Whether there is a cluster, up or not.
  type: bool
  returned: always
ready:
  description: Whether all of it is as it should be.
  type: bool
  returned: always
reachable:
  description: Whether the API server answers, as the one of this cluster.
  type: bool
  returned: always
problems:
  description: What is not as it should be.
  type: list
  elements: str
  returned: always
  sample: ["worker-0 is stopped: somebody switched it off"]
nodes:
  description:
    - The nodes, by the word of the API server - C(name), C(role), C(ready), C(reason), C(kubernetes), C(image),
      C(addresses), and C(identity), which is null where nobody attested it.
  type: list
  elements: dict
  returned: always
services:
  description: The services of the cluster - C(name), how many pods are C(ready), and how many are C(wanted).
  type: list
  elements: dict
  returned: always
join_config:
  description: Who may join - C(accepts), C(changed_at), C(problem); null where the API server does not answer.
  type: dict
  returned: always
pending:
  description: Machines that wait for a person, see M(constellation.core.node_approval).
  type: list
  elements: dict
  returned: always
refusals:
  description: Machines that were sent away in the last hour - C(at), C(reason), C(message).
  type: list
  elements: dict
  returned: always
machines:
  description: The machines - C(name), C(role), C(address), C(state), C(reason), and C(endpoints) of this host.
  type: list
  elements: dict
  returned: with O(workspace), if there is a cluster
name:
  description: Of the cluster.
  type: str
  returned: with O(workspace), if there is a cluster
uid:
  description: Of the machines; no others have it.
  type: str
  returned: with O(workspace), if there is a cluster
image:
  description: What machines boot.
  type: str
  returned: with O(workspace), if there is a cluster
cluster_id:
  description: The mark that every node carries, hexadecimal; empty before the first node is initialised.
  type: str
  returned: with O(workspace), if there is a cluster
kubeconfig:
  description: File of the administrator's kubeconfig. It holds a private key.
  type: str
  returned: with O(workspace), if there is a cluster
log:
  description: File with every step of bringing the cluster up.
  type: str
  returned: with O(workspace), if there is a cluster
finished:
  description: Phases of bringing the cluster up that are over.
  type: list
  elements: str
  returned: with O(workspace), if there is a cluster
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.constellation.core.plugins.module_utils.chosen_cluster import CLUSTER, api_server
from ansible_collections.constellation.core.plugins.module_utils.options import at_least_a_second, require, timeout
from ansible_collections.constellation.core.plugins.module_utils.shown import (
    silent_record,
    status_record,
    workspace_record,
)
from ansible_collections.constellation.core.plugins.module_utils.told import told


def look(module: AnsibleModule) -> dict[str, Any]:
    """Look at the cluster."""
    require(module, {"timeout": at_least_a_second})
    return {"changed": False} | (_elsewhere(module) if module.params["workspace"] is None else _here(module))


def _here(module: AnsibleModule) -> dict[str, Any]:
    from constellation_engine.local_cluster.convergence import opened
    from constellation_engine.local_cluster.observation import observe

    folder = Path(module.params["workspace"])
    workspace = opened(folder)
    if workspace is None:
        return {"exists": False, "ready": False, "problems": [f"there is no cluster in {folder}"], **silent_record()}
    seen = observe(workspace, patience=float(module.params["timeout"]))
    said = status_record(seen.status) if seen.status is not None else silent_record()
    problems = list(seen.problems)
    return {"exists": True, "ready": not problems, "problems": problems, **said, **workspace_record(workspace, seen)}


def _elsewhere(module: AnsibleModule) -> dict[str, Any]:
    from constellation_engine.cluster.status_reading import read_status
    from constellation_engine.errors import ClusterError

    try:
        with api_server(module) as client:
            status = read_status(client, datetime.now(UTC))
    except ClusterError as error:
        return {"exists": True, "ready": False, "problems": [str(error)], **silent_record()}
    problems = [f"{one.name}: {one.missing}" for one in status.conditions() if not one.holds]
    return {"exists": True, "ready": not problems, "problems": problems, **status_record(status)}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={**CLUSTER, **timeout(30)},
        mutually_exclusive=[("workspace", "kubeconfig")],
        required_one_of=[("workspace", "kubeconfig")],
        supports_check_mode=True,
    )
    with told(module):
        module.exit_json(**look(module))


if __name__ == "__main__":
    main()
