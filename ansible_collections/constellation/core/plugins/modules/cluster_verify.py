#!/usr/bin/python
# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Verify all nodes of a cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_verify
short_description: Verify all nodes of a cluster
version_added: 0.1.0
description:
  - Each node proves what it booted, over the attested channel, and that it belongs to the cluster. The API server says
    which nodes there are, and is believed nothing else. Verification happens in this process.
  - The task fails when a node is refused, or does not answer, or when a node that the API server knows was not asked.
    Every reason is in the answer.
author:
  - The Constellation authors (@constellation-kubernetes)
extends_documentation_fragment:
  - constellation.core.attributes.info
  - constellation.core.workspace.choice
  - constellation.core.kubeconfig
  - constellation.core.acceptable
  - constellation.core.timeout.node
options:
  endpoints:
    description:
      - The nodes, each as V(NAME=HOST:PORT), for a cluster whose API server cannot be asked. Then nobody says whether
        these are all, and a warning does.
    type: list
    elements: str
  cluster_id:
    description:
      - ID of the cluster that the nodes must belong to, 64 hex digits. Usually that of O(workspace).
      - Without one, nodes of any one cluster are accepted, and a warning says so.
    type: str
seealso:
  - module: constellation.core.cluster_info
"""

EXAMPLES = r"""
- name: Verify a cluster of this host
  constellation.core.cluster_verify:
    workspace: ~/clusters/mini

- name: Verify a cluster that lives elsewhere
  constellation.core.cluster_verify:
    kubeconfig: ~/.kube/config
    policies:
      - policy.yaml
    cluster_id: "{{ cluster_id }}"
"""

RETURN = r"""
accepted:
  description: Whether all nodes are accepted, and together they are the cluster.
  type: bool
  returned: when nodes were asked
summary:
  description: One sentence.
  type: str
  returned: when nodes were asked
  sample: "accepted: 2 of 2 nodes proved what they must"
reasons:
  description: Every reason to refuse, a sentence each.
  type: list
  elements: str
  returned: when nodes were asked
  sample: ["worker-0: measurements.4: expected 5e5e, got 6f6f"]
warnings_of_verdict:
  description: What is accepted and should be known.
  type: list
  elements: str
  returned: when nodes were asked
verdict:
  description:
    - The verdict as C(constellation verify -o json) has it, with C(nodes), each with its C(mismatches).
  type: dict
  returned: when nodes were asked
"""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.constellation.core.plugins.module_utils.acceptance import ACCEPTABLE, policies_of
from ansible_collections.constellation.core.plugins.module_utils.chosen_cluster import CLUSTER, workspace_of
from ansible_collections.constellation.core.plugins.module_utils.options import (
    at_least_a_second,
    refuse,
    require,
    timeout,
)
from ansible_collections.constellation.core.plugins.module_utils.told import told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from attestation.policy import Policy
    from constellation_engine.cluster.cluster_verdict import ClusterVerdict, Endpoint
    from constellation_engine.cluster.question import Question


def verify(module: AnsibleModule) -> dict[str, Any]:
    """Ask all nodes."""
    from constellation_core import rules

    require(module, {"timeout": at_least_a_second, "cluster_id": rules.hexadecimal(32)})
    verdict = asyncio.run(_question(module).ask(timeout=float(module.params["timeout"])))
    return {
        "changed": False,
        "accepted": verdict.accepted,
        "summary": verdict.summary,
        "reasons": list(_reasons(verdict)),
        "warnings_of_verdict": list(_warnings(verdict)),
        "verdict": verdict.to_mapping(),
    }


def _question(module: AnsibleModule) -> Question:
    from constellation_engine.cluster.question import Question, question_of_api
    from constellation_engine.local_cluster.verification import question_of

    policies = policies_of(module)
    cluster_id = bytes.fromhex(module.params["cluster_id"]) if module.params["cluster_id"] is not None else None
    if module.params["workspace"] is not None:
        return question_of(workspace_of(module), policies, cluster_id=cluster_id)
    _require_policies(module, policies)
    if module.params["kubeconfig"] is not None:
        return question_of_api(Path(module.params["kubeconfig"]), policies, cluster_id=cluster_id)
    return Question(endpoints=_endpoints(module), policies=policies, cluster_id=cluster_id)


def _require_policies(module: AnsibleModule, policies: list[Policy]) -> None:
    if not policies:
        refuse(module, "policies", "what is acceptable, or images: only a workspace has an image of its own", None)


def _endpoints(module: AnsibleModule) -> list[Endpoint]:
    from constellation_core.errors import ConfigError
    from constellation_engine.cluster.cluster_verdict import Endpoint

    endpoints = []
    for text in module.params["endpoints"] or ():
        try:
            endpoints.append(Endpoint.parse(text))
        except ConfigError:
            refuse(module, "endpoints", "[NAME=]HOST[:PORT] of each node", text)
    return endpoints


def _reasons(verdict: ClusterVerdict) -> Iterator[str]:
    for node in verdict.nodes:
        if node.failure:
            yield f"{node.endpoint}: {node.failure}"
        yield from (f"{node.name or node.endpoint}: {reason}" for reason in node.reasons)
    yield from map(str, verdict.mismatches)


def _warnings(verdict: ClusterVerdict) -> Iterator[str]:
    yield from verdict.warnings
    for node in verdict.nodes:
        if node.verdict is not None:
            yield from (f"{node.name or node.endpoint}: {warning}" for warning in node.verdict.warnings)


def main() -> None:
    """Run the module."""
    places = ("workspace", "kubeconfig", "endpoints")
    module = AnsibleModule(
        argument_spec={
            **CLUSTER,
            **ACCEPTABLE,
            **timeout(120),
            "endpoints": {"type": "list", "elements": "str"},
            "cluster_id": {"type": "str"},
        },
        mutually_exclusive=[places],
        required_one_of=[places],
        supports_check_mode=True,
    )
    with told(module):
        answer = verify(module)
        if not answer["accepted"]:
            said = "; ".join(answer["reasons"]) or "no node was asked"
            module.fail_json(msg=f"The cluster is not accepted. {said}.", **answer)
        module.exit_json(**answer)


if __name__ == "__main__":
    main()
