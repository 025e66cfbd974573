#!/usr/bin/python
# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Predict launch digests."""

from __future__ import annotations

DOCUMENTATION = r"""
module: launch_digest_info
short_description: Predict what SEV-SNP measures when a machine is launched
version_added: 0.1.0
description:
  - A launch digest covers firmware, kernel, initrd, command line, and number and model of the virtual processors. It is
    computed from files, for every number with every model, by the program C(sev-snp-measure).
author:
  - The Constellation authors (@constellation-kubernetes)
extends_documentation_fragment:
  - constellation.core.attributes.info
  - constellation.core.launch
requirements:
  - constellation-kubernetes[build] on the host that runs the task
options:
  image:
    description:
      - Folder of a node image for V(qemu-snp), or the name of one of the host that runs the task.
    type: str
  kernel:
    description:
      - Kernel that is booted, where it is not that of an image.
    type: path
  initrd:
    description:
      - Its initrd.
    type: path
  command_line:
    description:
      - Its command line.
    type: str
  cpus:
    required: true
  cpu_models:
    required: true
seealso:
  - module: constellation.core.measurements
  - module: constellation.core.guest
"""

EXAMPLES = r"""
- name: Say what machines of two sizes will measure
  constellation.core.launch_digest_info:
    image: snp-node
    cpus: [2, 4]
    cpu_models: [EPYC-Milan]
"""

RETURN = r"""
digests:
  description: A digest for every number and model of processors.
  type: list
  elements: dict
  returned: always
  contains:
    cpus: {description: Number of virtual processors., type: int, returned: always}
    cpu_model: {description: Their model., type: str, returned: always}
    digest: {description: "The launch digest, 96 hex digits.", type: str, returned: always}
    signed:
      description: Whether the image's builder signed it. The builder is whom its nodes believe.
      type: bool
      returned: when O(image) is given
firmware:
  description: The firmware that was measured.
  type: str
  returned: always
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.constellation.core.plugins.module_utils.chosen_image import image_of
from ansible_collections.constellation.core.plugins.module_utils.launching import LAUNCH, launch_of
from ansible_collections.constellation.core.plugins.module_utils.options import refuse
from ansible_collections.constellation.core.plugins.module_utils.told import told

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from constellation_engine.machines.launch_digest import Processors
    from constellation_engine.node_image.launch import LaunchInputs


def look(module: AnsibleModule) -> dict[str, Any]:
    """Compute the digests."""
    launch = launch_of(module)
    if launch is None:
        refuse(module, "cpus", "at least one number", module.params["cpus"])
    entries = _of_files(module, launch) if module.params["image"] is None else _of_image(module, launch)
    return {"changed": False, "digests": entries, "firmware": str(launch.firmware)}


def _of_image(module: AnsibleModule, launch: LaunchInputs) -> list[dict[str, Any]]:
    from constellation_engine.node_image.launch import digests_of

    folder = image_of(module)
    signed = [digest.hex() for digest in folder.read_manifest().launch_digests]
    entries = _entries(digests_of(folder, launch))
    return [{**entry, "signed": entry["digest"] in signed} for entry in entries]


def _entries(digests: Mapping[Processors, bytes]) -> list[dict[str, Any]]:
    return [
        {"cpus": one.number, "cpu_model": one.model.value, "digest": digest.hex()} for one, digest in digests.items()
    ]


def _of_files(module: AnsibleModule, launch: LaunchInputs) -> list[dict[str, Any]]:
    from constellation_engine.machines import DirectBoot
    from constellation_engine.machines.launch_digest import launch_digests

    _require_files(module, ("kernel", "initrd"))
    boot = DirectBoot(Path(module.params["kernel"]), Path(module.params["initrd"]), module.params["command_line"])
    return _entries(launch_digests(launch.firmware, boot, launch.processors))


def _require_files(module: AnsibleModule, names: Collection[str]) -> None:
    for name in names:
        if not Path(module.params[name]).is_file():
            refuse(module, name, "a file", module.params[name])


def main() -> None:
    """Run the module."""
    files = ("kernel", "initrd", "command_line")
    module = AnsibleModule(
        argument_spec={
            **LAUNCH,
            "cpus": {**LAUNCH["cpus"], "required": True},
            "cpu_models": {**LAUNCH["cpu_models"], "required": True},
            "image": {"type": "str"},
            "kernel": {"type": "path"},
            "initrd": {"type": "path"},
            "command_line": {"type": "str"},
        },
        required_one_of=[("image", "kernel")],
        mutually_exclusive=[("image", name) for name in files],
        required_together=[files],
        supports_check_mode=True,
    )
    with told(module):
        module.exit_json(**look(module))


if __name__ == "__main__":
    main()
