#!/usr/bin/python
# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bring up a confidential cluster on a host, change it, switch it off, remove it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster
short_description: Bring up a confidential cluster on a host
version_added: 0.1.0
description:
  - Real machines with a TPM each boot the measured node image. The first one is attested before it gets a secret, and
    lets in those that prove the same; in the end every node is verified. They need neither root nor a daemon.
  - Without hardware that encrypts memory nothing of it is confidential to who runs the host, and every verdict says so.
  - Every run looks at the cluster. What is not as it should be is a difference that check mode shows, and that the
    task repairs - a machine that is switched off, a node that is not Ready, who may join. An interrupted task goes on
    where it was.
  - Nodes are verified whenever something changed. To verify them every time use M(constellation.core.cluster_verify).
  - What is left out stays as the cluster has it. For a new cluster the usual is taken.
author:
  - The Constellation authors (@constellation-kubernetes)
extends_documentation_fragment:
  - constellation.core.attributes
  - constellation.core.workspace
  - constellation.core.timeout.phase
attributes:
  async:
    description: Can be run with C(async), and looked at with M(ansible.builtin.async_status).
    support: full
    details: What it does meanwhile is in C(log.jsonl) of O(workspace), a line a step.
options:
  state:
    description:
      - V(present), the cluster is up, and as it should be.
      - V(stopped), its machines are switched off, as a power cut would. Disks stay. V(present) brings it back.
      - V(absent), machines, disks and secrets are gone. Nobody can open a copy of the disks any more.
    type: str
    choices: [present, stopped, absent]
    default: present
  image:
    description:
      - What machines boot - the folder of a node image, or the name of one of the host's.
      - For a new cluster, usually the one that C(constellation image build) makes.
      - Machines of another image go over to this one, one after the other - workers first, and each has to prove what
        it booted before the next one goes. Disks stay. Kubernetes, platform, profile and signing key must be the same.
      - The image of before must stay where it is until then. Naming that one again goes back.
    type: str
  drain_timeout:
    description:
      - How many seconds the pods of a node have to leave it before its machine boots another O(image). With V(0) nobody
        asks them to.
    type: int
    default: 300
  name:
    description:
      - Of the cluster, for a new one usually V(mini). A cluster keeps it.
    type: str
  control_planes:
    description:
      - How many control planes, V(1), V(3) or V(5); for a new cluster usually V(1). A cluster keeps it.
    type: int
  workers:
    description:
      - How many workers, for a new cluster usually V(1).
      - More join; a worker that is not wanted any more leaves the cluster first, and then its machine is removed.
    type: int
  cpus:
    description:
      - Processors of each machine, for a new cluster usually V(2). A cluster keeps it.
    type: int
  memory:
    description:
      - Memory of each machine in MiB, for a new cluster usually V(3072). A cluster keeps it.
    type: int
  state_disk:
    description:
      - Disk of each machine in MiB, for a new cluster usually V(8192). It takes space as it fills. A cluster keeps it.
    type: int
  kubernetes_version:
    description:
      - Refuse an image that brings another version of Kubernetes, such as V(v1.36.4).
    type: str
  certificate_sans:
    description:
      - Further names of the API server in its certificate. A cluster keeps them.
    type: list
    elements: str
  service_network:
    description:
      - Addresses of Services, for a new cluster usually V(10.96.0.0/12). A cluster keeps them.
    type: str
  pod_network:
    description:
      - Addresses of pods, for a new cluster usually V(10.244.0.0/16). A cluster keeps them.
    type: str
  join_config:
    description:
      - Which machines may join, the whole document in YAML.
      - Usually machines that boot O(image), and as many control planes as there are machines for it.
    type: str
  max_control_planes:
    description:
      - How many control planes may join.
    type: int
  approval:
    description:
      - Whether a person has to approve each control plane, see M(constellation.core.node_approval).
    type: bool
  master_secret:
    description:
      - File of the master secret that every key of a new cluster derives from, see
        M(constellation.core.master_secret). Usually a new one is made in O(workspace). A cluster keeps it.
    type: path
seealso:
  - module: constellation.core.cluster_info
  - module: constellation.core.cluster_verify
  - module: constellation.core.kubeconfig
"""

EXAMPLES = r"""
- name: Bring up a cluster
  constellation.core.cluster:
    workspace: ~/clusters/mini

- name: Have two workers
  constellation.core.cluster:
    workspace: ~/clusters/mini
    workers: 2

- name: Let its machines boot another image
  constellation.core.cluster:
    workspace: ~/clusters/mini
    image: ~/images/next

- name: Remove it
  constellation.core.cluster:
    workspace: ~/clusters/mini
    state: absent
"""

RETURN = r"""
workspace:
  description: Folder of the cluster.
  type: str
  returned: always
  sample: /home/user/clusters/mini
changing:
  description: What changed, or would.
  type: list
  elements: str
  returned: always
  sample: [worker-0, cluster]
cluster_id:
  description: The mark that every node carries, hexadecimal; empty before there is a cluster.
  type: str
  returned: when O(state=present) or O(state=stopped), and the workspace is there
  sample: 5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e
kubeconfig:
  description: File of the administrator's kubeconfig. It holds a private key.
  type: str
  returned: when O(state=present) or O(state=stopped), and the workspace is there
  sample: /home/user/clusters/mini/kubeconfig
log:
  description: File with every step of bringing the cluster up, a JSON object a line.
  type: str
  returned: when O(state=present) or O(state=stopped), and the workspace is there
  sample: /home/user/clusters/mini/log.jsonl
steps:
  description: What was done, in order.
  type: list
  elements: str
  returned: always
  sample: ["infrastructure: begins", "infrastructure: worker-0 is on"]
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.constellation.core.plugins.module_utils.chosen_cluster import WORKSPACE
from ansible_collections.constellation.core.plugins.module_utils.options import (
    at_least_a_second,
    not_negative,
    refuse,
    require,
    timeout,
)
from ansible_collections.constellation.core.plugins.module_utils.told import told

if TYPE_CHECKING:
    from constellation_engine.local_cluster.convergence import Plan
    from constellation_engine.local_cluster.desired import DesiredCluster

OPTIONS: Final[dict[str, Any]] = {
    "state": {"type": "str", "choices": ["present", "stopped", "absent"], "default": "present"},
    "image": {"type": "str"},
    "drain_timeout": {"type": "int", "default": 300},
    "name": {"type": "str"},
    "control_planes": {"type": "int"},
    "workers": {"type": "int"},
    "cpus": {"type": "int"},
    "memory": {"type": "int"},
    "state_disk": {"type": "int"},
    "kubernetes_version": {"type": "str"},
    "certificate_sans": {"type": "list", "elements": "str"},
    "service_network": {"type": "str"},
    "pod_network": {"type": "str"},
    "join_config": {"type": "str"},
    "max_control_planes": {"type": "int"},
    "approval": {"type": "bool"},
    "master_secret": {"type": "path", "no_log": False},
}
_KEPT: Final = (
    "name",
    "control_planes",
    "workers",
    "cpus",
    "memory",
    "state_disk",
    "kubernetes_version",
    "join_config",
)


def work(module: AnsibleModule) -> dict[str, Any]:
    """Bring the cluster into the state that is wanted."""
    steps: list[str] = []
    plan = {"present": _present, "stopped": _stopped, "absent": _absent}[module.params["state"]](module, steps)
    return {"changed": plan.differs, "changing": list(plan.changing), "steps": steps, "diff": _diff(plan)} | _place(
        module
    )


def _present(module: AnsibleModule, steps: list[str]) -> Plan:
    from constellation_engine.local_cluster.convergence import converge, plan_cluster

    folder, desired = _folder(module), _desired(module)
    plan = plan_cluster(folder, desired)
    if plan.differs and not module.check_mode:
        converge(
            folder,
            desired,
            plan,
            report=steps.append,
            timeout=float(module.params["timeout"]),
            drain_timeout=float(module.params["drain_timeout"]),
        )
    return plan


def _stopped(module: AnsibleModule, steps: list[str]) -> Plan:
    from constellation_engine.local_cluster import Workspace
    from constellation_engine.local_cluster.convergence import plan_stop
    from constellation_engine.local_cluster.power import switch_off

    workspace = Workspace.open(_folder(module))
    plan = plan_stop(workspace)
    if plan.differs and not module.check_mode:
        switch_off(workspace, plan.changing, report=steps.append)
    return plan


def _absent(module: AnsibleModule, steps: list[str]) -> Plan:
    from constellation_engine.local_cluster import Workspace, tear_down
    from constellation_engine.local_cluster.convergence import plan_removal

    folder = _folder(module)
    plan = plan_removal(folder)
    if plan.differs and not module.check_mode:
        tear_down(Workspace.open(folder), report=steps.append)
    return plan


def _folder(module: AnsibleModule) -> Path:
    return Path(module.params["workspace"]).absolute()


def _place(module: AnsibleModule) -> dict[str, str]:
    """Say where the cluster is."""
    from constellation_engine.local_cluster.convergence import opened

    workspace = opened(_folder(module))
    if workspace is None:
        return {"workspace": str(_folder(module))}
    return {
        "workspace": str(workspace.folder),
        "cluster_id": workspace.state.cluster_id.hex(),
        "kubeconfig": str(workspace.kubeconfig),
        "log": str(workspace.log),
    }


def _diff(plan: Plan) -> dict[str, str]:
    before, after = (
        "".join(f"{name}: {_indented(how)}\n" for name, how in one.items()) for one in (plan.before, plan.after)
    )
    return {"before": before, "after": after}


def _indented(how: str) -> str:
    return how if "\n" not in how else "\n  " + how.rstrip().replace("\n", "\n  ")


def _desired(module: AnsibleModule) -> DesiredCluster:
    """Read the options."""
    from ipaddress import IPv4Network

    from constellation_core.keys.master_secret import MasterSecret
    from constellation_engine.local_cluster.desired import DesiredCluster

    _judge(module)
    given = module.params
    services, pods, secret = (given[name] for name in ("service_network", "pod_network", "master_secret"))
    return DesiredCluster(
        **{name: given[name] for name in _KEPT},
        image=_image(module),
        certificate_sans=None if given["certificate_sans"] is None else tuple(given["certificate_sans"]),
        service_network=IPv4Network(services) if services is not None else None,
        pod_network=IPv4Network(pods) if pods is not None else None,
        master_secret=MasterSecret.load(Path(secret)) if secret is not None else None,
        max_control_planes=given["max_control_planes"],
        approval=given["approval"],
    )


def _judge(module: AnsibleModule) -> None:
    from constellation_core import rules

    names = ("control_planes", "workers", "cpus", "memory", "state_disk", "kubernetes_version", "certificate_sans")
    require(
        module,
        {
            "name": rules.cluster_name,
            **{name: getattr(rules, name) for name in (*names, "service_network", "pod_network")},
            "max_control_planes": rules.control_plane_limit,
            "timeout": at_least_a_second,
            "drain_timeout": not_negative,
        },
    )
    networks = {name: module.params[name] for name in ("service_network", "pod_network")}
    if expected := rules.networks_apart({name: network for name, network in networks.items() if network}):
        refuse(module, "pod_network", expected, networks["pod_network"])


def _image(module: AnsibleModule) -> Path | None:
    """Find the image: the one that is named, or for a new cluster the usual one."""
    from constellation_engine.local_cluster.requirements import USUAL_IMAGE
    from constellation_engine.local_cluster.workspace import STATE_FILE
    from constellation_engine.node_image.choosing import named_image

    name = module.params["image"]
    if name is None and (_folder(module) / STATE_FILE).exists():
        return None
    folder = named_image(name or USUAL_IMAGE).folder
    return folder.path.resolve() if folder is not None else None


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={**WORKSPACE, **timeout(1800), **OPTIONS},
        mutually_exclusive=[("join_config", "max_control_planes"), ("join_config", "approval")],
        supports_check_mode=True,
    )
    with told(module):
        module.exit_json(**work(module))


if __name__ == "__main__":
    main()
