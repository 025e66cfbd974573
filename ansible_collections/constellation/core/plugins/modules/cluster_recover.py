#!/usr/bin/python
# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bring back a cluster whose control planes all stopped."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_recover
short_description: Bring back a cluster whose control planes all stopped
version_added: 0.1.0
description:
  - When no control plane is left that could let the others back in, each waits for the secret that opens its disk. It
    gets it after it proved what it booted.
  - With O(workspace), machines that are off are switched on, and waited for. A cluster whose API server answers needs
    no recovery, and is left alone. With O(endpoints), all of them are waited for.
  - A node that does not know the secret says so, changes nothing, and waits on. To repeat the task is safe.
author:
  - The Constellation authors (@constellation-kubernetes)
extends_documentation_fragment:
  - constellation.core.attributes
  - constellation.core.acceptable
  - constellation.core.timeout.all
attributes:
  idempotent:
    description: Changes nothing when it is run again.
    support: partial
    details: With O(endpoints), control planes that are back do not listen any more, and are waited for in vain.
options:
  workspace:
    description:
      - Folder of a cluster on the host that runs the task.
    type: path
  endpoints:
    description:
      - Stopped control planes of a cluster that lives elsewhere, each as V([NAME=]HOST[:PORT]). Check mode only reads
        the files; nobody is asked.
    type: list
    elements: str
  master_secret:
    description:
      - File of the master secret. Usually the one in O(workspace).
    type: path
  recovery_secret:
    description:
      - File with the secret that the metadata of nodes demands, where it does.
    type: path
  kubeconfig:
    description:
      - Where to write the kubeconfig that the first node answers with, mode 0600. With O(workspace), it is kept there.
    type: path
seealso:
  - module: constellation.core.cluster
"""

EXAMPLES = r"""
- name: Bring a cluster of this host back after a power cut
  constellation.core.cluster_recover:
    workspace: ~/clusters/mini

- name: Bring back one that lives elsewhere
  constellation.core.cluster_recover:
    endpoints:
      - control-plane-0=192.0.2.7
    master_secret: master-secret.json
    images:
      - ~/images/node
"""

RETURN = r"""
nodes:
  description:
    - What became of each control plane that was asked - C(node), C(address), C(outcome), C(reason), C(hint).
  type: list
  elements: dict
  returned: always
  sample: [{"node": "control-plane-0", "address": "127.0.0.1:39999", "outcome": "back", "reason": null, "hint": null}]
wanted:
  description: How many had to come back; the others rejoin by themselves.
  type: int
  returned: always
  sample: 1
switched_on:
  description: Machines that were off, and were switched on, or would be.
  type: list
  elements: str
  returned: always
"""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.constellation.core.plugins.module_utils.acceptance import ACCEPTABLE, policies_of
from ansible_collections.constellation.core.plugins.module_utils.chosen_cluster import workspace_of
from ansible_collections.constellation.core.plugins.module_utils.options import (
    at_least_a_second,
    refuse,
    require,
    timeout,
)
from ansible_collections.constellation.core.plugins.module_utils.told import told

if TYPE_CHECKING:
    from collections.abc import Sequence

    from constellation_core.keys.master_secret import MasterSecret
    from constellation_core.keys.secret import Secret
    from constellation_engine.cluster.cluster_verdict import Endpoint
    from constellation_engine.cluster.recovery import RecoveryOrder
    from constellation_engine.cluster.recovery_outcome import Recovery
    from constellation_engine.local_cluster import Workspace


def recover(module: AnsibleModule) -> dict[str, Any]:
    """Give control planes what they wait for."""
    require(module, {"timeout": at_least_a_second})
    return _elsewhere(module) if module.params["workspace"] is None else _here(module, workspace_of(module))


def _here(module: AnsibleModule, workspace: Workspace) -> dict[str, Any]:
    from constellation_engine.local_cluster.machines import accepted_policies
    from constellation_engine.local_cluster.power import switch_on
    from constellation_engine.local_cluster.recovery import keep, order_of, quorum, who_waits

    if not workspace.state.cluster_id:
        refuse(module, "workspace", "a cluster that was up once", str(workspace.folder))
    order = order_of(
        workspace,
        policies_of(module) or accepted_policies(workspace),
        master=_master_secret(module),
        recovery_secret=_recovery_secret(module),
    )
    off, wanted = _off(workspace), quorum(workspace)
    if off and not module.check_mode:
        switch_on(workspace, off, report=lambda _: None)
    waiting: Sequence[Endpoint] = ()
    if not (off and module.check_mode):  # what was not switched on does not say whether it waits
        waiting = asyncio.run(who_waits(workspace, seconds=float(module.params["timeout"])))
    if not waiting or module.check_mode:
        return _answer(off, waiting, None, wanted)
    recovery = _ask(module, waiting, order, wanted)
    keep(workspace, recovery, order.cluster_id or b"")
    return _answer(off, waiting, recovery, wanted)


def _elsewhere(module: AnsibleModule) -> dict[str, Any]:
    from constellation_core.keys.key_material import KeyMaterial
    from constellation_engine.cluster.recovery import RecoveryOrder
    from constellation_engine.local_cluster.workspace import write_private

    policies, master = policies_of(module), _master_secret(module)
    if not policies:
        refuse(module, "policies", "what is acceptable, or images: only a workspace has an image of its own", None)
    if master is None:
        refuse(module, "master_secret", "a file: only a workspace has one of its own", None)
    order = RecoveryOrder(
        policies=policies, key_material=KeyMaterial.of(master), recovery_secret=_recovery_secret(module)
    )
    endpoints = _endpoints(module)
    if module.check_mode:
        return _answer((), endpoints, None, len(endpoints))
    recovery = _ask(module, endpoints, order, len(endpoints))
    if recovery.kubeconfig and module.params["kubeconfig"] is not None:
        write_private(Path(module.params["kubeconfig"]), recovery.kubeconfig)
    return _answer((), endpoints, recovery, len(endpoints))


def _ask(module: AnsibleModule, endpoints: Sequence[Endpoint], order: RecoveryOrder, wanted: int) -> Recovery:
    from constellation_engine.cluster.recovery import recover_nodes

    asking = recover_nodes(endpoints, order, wanted=wanted, timeout=float(module.params["timeout"]))
    return asyncio.run(asking).require()


def _answer(off: Sequence[str], asked: Sequence[Endpoint], recovery: Recovery | None, wanted: int) -> dict[str, Any]:
    """Say what was done; without a recovery, what would be, or that nobody waits."""
    from constellation_engine.cluster.recovery_outcome import Outcome

    nodes = recovery.nodes if recovery is not None else ()
    came = [str(node.endpoint) for node in nodes if node.outcome is Outcome.BACK]
    would = [str(endpoint) for endpoint in asked] if recovery is None else came
    changing = {**dict.fromkeys(off, "off"), **dict.fromkeys(would, "waits for recovery")}
    after = {**dict.fromkeys(off, "on"), **dict.fromkeys(would, "back")}
    return {
        "changed": bool(changing),
        "nodes": [node.to_mapping() for node in nodes],
        "wanted": wanted,
        "switched_on": list(off),
        "diff": {"before": _text(changing), "after": _text(after)},
    }


def _text(states: dict[str, str]) -> str:
    return "".join(f"{name}: {state}\n" for name, state in states.items())


def _off(workspace: Workspace) -> tuple[str, ...]:
    from constellation_engine.local_cluster.status import machine_states
    from constellation_engine.machines import MachineState

    return tuple(one.name for one in machine_states(workspace) if one.state is MachineState.STOPPED)


def _master_secret(module: AnsibleModule) -> MasterSecret | None:
    from constellation_core.keys.master_secret import MasterSecret

    path = module.params["master_secret"]
    return MasterSecret.load(Path(path)) if path is not None else None


def _recovery_secret(module: AnsibleModule) -> Secret | None:
    from constellation_core.keys.secret_file import read_secret_file

    path = module.params["recovery_secret"]
    return read_secret_file(Path(path)) if path is not None else None


def _endpoints(module: AnsibleModule) -> list[Endpoint]:
    from constellation_core.errors import ConfigError
    from constellation_core.names import RECOVERY_PORT
    from constellation_engine.cluster.cluster_verdict import Endpoint

    endpoints = []
    for text in module.params["endpoints"] or ():
        try:
            endpoints.append(Endpoint.parse(text, usual_port=RECOVERY_PORT))
        except ConfigError:
            refuse(module, "endpoints", "[NAME=]HOST[:PORT] of each control plane", text)
    if not endpoints:
        refuse(module, "endpoints", "at least one control plane", module.params["endpoints"])
    return endpoints


def main() -> None:
    """Run the module."""
    places = ("workspace", "endpoints")
    module = AnsibleModule(
        argument_spec={
            **ACCEPTABLE,
            **timeout(600),
            "workspace": {"type": "path"},
            "endpoints": {"type": "list", "elements": "str"},
            "master_secret": {"type": "path", "no_log": False},
            "recovery_secret": {"type": "path", "no_log": False},
            "kubeconfig": {"type": "path"},
        },
        mutually_exclusive=[places, ("workspace", "kubeconfig")],
        required_one_of=[places],
        supports_check_mode=True,
    )
    with told(module):
        module.exit_json(**recover(module))


if __name__ == "__main__":
    main()
