#!/usr/bin/python
# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run a confidential virtual machine on a hypervisor."""

from __future__ import annotations

DOCUMENTATION = r"""
module: guest
short_description: Run a confidential virtual machine on a hypervisor
version_added: 0.1.0
description:
  - QEMU boots a node image under a unit of the host's systemd, which starts it at every boot of the host and again when
    QEMU crashes. Its disks, its TPM and its logs are in one folder.
  - What measures the guest follows from the image, SEV-SNP or a TPM made of software. The latter has no hardware root,
    and every verdict about such a node says so.
  - A guest keeps the description that it was made with. A task that describes it otherwise is refused and names the
    difference; remove the guest first, or choose another name.
  - Intel TDX is not among the variants, because the library cannot launch such machines.
author:
  - The Constellation authors (@constellation-kubernetes)
extends_documentation_fragment:
  - constellation.core.attributes
options:
  name:
    description: Of the guest, letters a to z, digits and dashes.
    type: str
    required: true
  state:
    description:
      - V(started), it is there and runs.
      - V(stopped), it is there and its power is cut; its state disk survives that.
      - V(absent), it is gone with its disks and its TPM.
    type: str
    choices: [started, stopped, absent]
    default: started
  folder:
    description: Folder of all guests of this host.
    type: path
    default: /var/lib/constellation/guests
  image:
    description: Folder of a node image on this host, or the name of one. Needed unless O(state=absent).
    type: str
  variant:
    description: What the image must be for. Without it, what the image is for.
    type: str
    choices: [qemu-snp, qemu-vtpm]
  metadata:
    description:
      - What the guest finds on its config drive; it steers the node and decides nothing. C(version) and C(name) are put
        there, the rest is for its cluster.
      - An SEV-SNP guest needs C(uid), C(role) and C(node_group), which its launch carries in the hardware's word.
    type: dict
    default: {}
  cpus:
    description: How many virtual processors.
    type: int
    default: 2
  cpu_model:
    description: Model of the virtual processors of an SEV-SNP guest; it is part of what is measured.
    type: str
    choices: [EPYC-v4, EPYC-Rome, EPYC-Milan, EPYC-Genoa, EPYC-Turin]
    default: EPYC-v4
  memory:
    description: MiB of memory.
    type: int
    default: 4096
  state_disk:
    description: MiB of the disk that keeps the node's state. It takes space as it fills.
    type: int
    default: 16384
  forwards:
    description: Ports of the host's loopback interface that lead into the guest.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What it is for.
        type: str
        required: true
      guest_port:
        description: TCP port in the guest.
        type: int
        required: true
      host_port:
        description: TCP port of 127.0.0.1; V(0) chooses a free one when the guest is made.
        type: int
        default: 0
  segment:
    description:
      - Name of the network that guests of this host share; those with the same name meet. Without it the guest has
        none.
    type: str
  addresses:
    description: Addresses of the guest on O(segment), with the length of their prefix.
    type: list
    elements: str
    default: []
  isolated:
    description: Whether the guest reaches nothing but O(segment). O(forwards) work all the same.
    type: bool
    default: false
  durable:
    description: Whether what the guest flushes must survive a crash of this host.
    type: bool
    default: true
  supervisor:
    description:
      - Who starts the guest. V(none) is for hosts without systemd - it runs until somebody stops it, and does not come
        back after the host was down.
    type: str
    choices: [systemd, none]
    default: systemd
seealso:
  - module: constellation.core.snp_host_info
  - module: constellation.core.image
"""

EXAMPLES = r"""
- name: Run a worker
  constellation.core.guest:
    name: worker-0
    image: /var/lib/constellation/images/qemu-snp-release
    cpus: 8
    memory: 16384
    segment: mini
    addresses: [192.168.77.101/24]
    metadata: "{{ worker_metadata }}"
  become: true

- name: Remove it with its disks
  constellation.core.guest:
    name: worker-0
    state: absent
  become: true
"""

RETURN = r"""
folder:
  description: Folder of the guest.
  type: str
  returned: always
  sample: /var/lib/constellation/guests/worker-0
power:
  description: What it is now, or would be; V(running), V(stopped) or V(absent).
  type: str
  returned: always
  sample: running
unit:
  description: Name of its unit; empty without a service manager.
  type: str
  returned: always
  sample: constellation-guest-worker-0.service
variant:
  description: What measures it.
  type: str
  returned: unless O(state=absent)
  sample: qemu-snp
ports:
  description: Port of 127.0.0.1 of each of O(forwards). Ports that are chosen when it is made are 0 in check mode.
  type: dict
  returned: unless O(state=absent)
  sample: {"verification": 21844}
"""

from ipaddress import IPv4Interface
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.constellation.core.plugins.module_utils.options import refuse
from ansible_collections.constellation.core.plugins.module_utils.told import told

if TYPE_CHECKING:
    from constellation_engine.machines import MachineSpec
    from constellation_engine.machines.systemd import Systemd

MODELS = ["EPYC-v4", "EPYC-Rome", "EPYC-Milan", "EPYC-Genoa", "EPYC-Turin"]


def run(module: AnsibleModule) -> dict[str, Any]:
    """Bring the guest into its state."""
    from constellation_engine.machines.guest import Guest, GuestState
    from constellation_engine.machines.spec import check_name
    from constellation_engine.machines.systemd import unit_name

    name, manager = module.params["name"], _manager(module)
    check_name("guest", name)
    state = GuestState(module.params["state"])
    guest = Guest(Path(module.params["folder"]) / name, manager)
    spec = None if state is GuestState.ABSENT else _spec(module)
    if spec is not None:
        guest.check(spec)
    before, after = guest.situation(), guest.wanted(state)
    changed = before != after
    if changed and not module.check_mode:
        guest.bring(state, spec, module.debug)
    answer = {
        "changed": changed,
        "folder": str(guest.machine.layout.folder),
        "power": after.power,
        "unit": unit_name(name) if manager else "",
        "diff": {"before": str(before), "after": str(after)},
    }
    if spec is not None:
        there = guest.machine.spec if guest.machine.layout.spec.exists() else spec
        answer["variant"] = str(spec.platform.variant)
        answer["ports"] = {forward.name: forward.host_port for forward in there.forwards}
    return answer


def _manager(module: AnsibleModule) -> Systemd | None:
    from constellation_engine.machines.systemd import Systemd

    return Systemd() if module.params["supervisor"] == "systemd" else None


def _spec(module: AnsibleModule) -> MachineSpec:
    from constellation_engine.machines import Forward, MachineSpec, Segment, VcpuModel
    from constellation_engine.node_image.choosing import named_image
    from constellation_engine.node_image.guest_platform import platform_of

    given = module.params
    if not given["image"]:
        refuse(module, "image", "the folder of a node image, or the name of one", given["image"])
    image = named_image(given["image"])
    if given["variant"] not in (None, str(image.build.variant)):
        refuse(module, "variant", f"{image.build.variant}, which {given['image']} is for", given["variant"])
    metadata = {"version": 1, **given["metadata"], "name": given["name"]}
    return MachineSpec(
        image=Path(image.reference),
        metadata=metadata,
        cpus=given["cpus"],
        memory=given["memory"],
        state_disk=given["state_disk"],
        forwards=tuple(Forward(**forward) for forward in given["forwards"]),
        segment=Segment.of(given["segment"]) if given["segment"] else None,
        addresses=_addresses(module),
        platform=platform_of(image, given["name"], metadata, VcpuModel(given["cpu_model"])),
        isolated=given["isolated"],
        durable=given["durable"],
    )


def _addresses(module: AnsibleModule) -> tuple[IPv4Interface, ...]:
    addresses = []
    for text in module.params["addresses"]:
        try:
            addresses.append(IPv4Interface(text))
        except ValueError:
            refuse(module, "addresses", "addresses of IPv4 as 192.168.77.101/24", text)
    return tuple(addresses)


def main() -> None:
    """Run the module."""
    forward = {
        "name": {"type": "str", "required": True},
        "guest_port": {"type": "int", "required": True},
        "host_port": {"type": "int", "default": 0},
    }
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["started", "stopped", "absent"], "default": "started"},
            "folder": {"type": "path", "default": "/var/lib/constellation/guests"},
            "image": {"type": "str"},
            "variant": {"type": "str", "choices": ["qemu-snp", "qemu-vtpm"]},
            "metadata": {"type": "dict", "default": {}},
            "cpus": {"type": "int", "default": 2},
            "cpu_model": {"type": "str", "choices": MODELS, "default": MODELS[0]},
            "memory": {"type": "int", "default": 4096},
            "state_disk": {"type": "int", "default": 16384},
            "forwards": {"type": "list", "elements": "dict", "default": [], "options": forward},
            "segment": {"type": "str"},
            "addresses": {"type": "list", "elements": "str", "default": []},
            "isolated": {"type": "bool", "default": False},
            "durable": {"type": "bool", "default": True},
            "supervisor": {"type": "str", "choices": ["systemd", "none"], "default": "systemd"},
        },
        supports_check_mode=True,
    )
    with told(module):
        module.exit_json(**run(module))


if __name__ == "__main__":
    main()
