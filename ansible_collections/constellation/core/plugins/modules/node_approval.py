#!/usr/bin/python
# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Let a machine join that waits for a person, or keep it out."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_approval
short_description: Let a machine join that waits for a person, or keep it out
version_added: 0.1.0
description:
  - Where the policy of a cluster demands it, a machine that proved what it booted waits until a person decides.
    M(constellation.core.cluster_info) says who waits.
  - A decision is about a machine and not about a name. Give O(identity), and another machine that asks under the same
    name is refused.
author:
  - The Constellation authors (@constellation-kubernetes)
extends_documentation_fragment:
  - constellation.core.attributes
  - constellation.core.workspace.choice
  - constellation.core.kubeconfig
  - constellation.core.timeout
options:
  name:
    description:
      - Of the node that the machine wants to be.
    type: str
    required: true
  identity:
    description:
      - What identifies the machine, hexadecimal, or its first 16 digits or more.
    type: str
  state:
    description:
      - V(approved), it may join. V(denied), it may not; a machine that was let in already cannot be denied.
    type: str
    choices: [approved, denied]
    required: true
seealso:
  - module: constellation.core.cluster_info
"""

EXAMPLES = r"""
- name: Let a control plane join
  constellation.core.node_approval:
    workspace: ~/clusters/mini
    name: control-plane-1
    identity: 5e5e5e5e5e5e5e5e
    state: approved
"""

RETURN = r"""
request:
  description:
    - The request - C(name), C(role), C(variant), C(identity), C(disk), C(decision), C(phase), C(requested_at).
  type: dict
  returned: always
"""

import re
from dataclasses import replace
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.constellation.core.plugins.module_utils.chosen_cluster import CLUSTER, api_server
from ansible_collections.constellation.core.plugins.module_utils.options import at_least_a_second, require, timeout
from ansible_collections.constellation.core.plugins.module_utils.told import told

IDENTITY = re.compile(r"[0-9a-fA-F]{16,64}")


def decide(module: AnsibleModule) -> dict[str, Any]:
    """Write the decision, unless it is there."""
    from constellation_engine.cluster.nodes import Decision, find_request, require_decidable, write_decision

    require(module, {"timeout": at_least_a_second, "identity": _identity})
    decision = {"approved": Decision.APPROVED, "denied": Decision.DENIED}[module.params["state"]]
    identity = (module.params["identity"] or "").lower()
    with api_server(module) as client:
        there = find_request(client, module.params["name"], identity=identity)
        require_decidable(there, decision)
        decided = replace(there, decision=decision) if module.check_mode else write_decision(client, there, decision)
    before, after = (f"{there.name}: {said.value or 'waits'}\n" for said in (there.decision, decided.decision))
    return {
        "changed": there.decision is not decision,
        "request": decided.to_mapping(),
        "diff": {"before": before, "after": after},
    }


def _identity(text: str) -> str | None:
    """Judge an identity: whoever makes TPMs of software by the billion finds one with the same eight digits."""
    return None if IDENTITY.fullmatch(text) else "16 to 64 hex digits"


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **CLUSTER,
            **timeout(30),
            "name": {"type": "str", "required": True},
            "identity": {"type": "str"},
            "state": {"type": "str", "choices": ["approved", "denied"], "required": True},
        },
        mutually_exclusive=[("workspace", "kubeconfig")],
        required_one_of=[("workspace", "kubeconfig")],
        supports_check_mode=True,
    )
    with told(module):
        module.exit_json(**decide(module))


if __name__ == "__main__":
    main()
