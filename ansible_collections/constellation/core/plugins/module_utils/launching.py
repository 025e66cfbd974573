# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What launch digests depend on besides an image: firmware, and processors that machines may have."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.constellation.core.plugins.module_utils.options import refuse

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

    from constellation_engine.node_image.launch import LaunchInputs

MODELS = ["EPYC-v4", "EPYC-Rome", "EPYC-Milan", "EPYC-Genoa", "EPYC-Turin"]
LAUNCH: dict[str, Any] = {
    "firmware": {"type": "path"},
    "cpus": {"type": "list", "elements": "int"},
    "cpu_models": {"type": "list", "elements": "str", "choices": MODELS},
}
"""As `constellation.core.launch` documents it."""
TOGETHER = [("cpus", "cpu_models")]
"""For `required_together`."""
NEEDED_BY = {"firmware": ("cpus",)}
"""For `required_by`."""
_NUMBERS = range(1, 513)


def launch_of(module: AnsibleModule) -> LaunchInputs | None:
    """Give firmware and processors; None where none were given.

    Raises:
        MachineError: no firmware was named, and this host has none.
    """
    if not module.params["cpus"]:
        return None
    from constellation_engine.machines.firmware import find_snp_ovmf
    from constellation_engine.machines.launch_digest import Processors
    from constellation_engine.machines.spec import VcpuModel
    from constellation_engine.node_image.launch import LaunchInputs

    for number in module.params["cpus"]:
        if number not in _NUMBERS:
            refuse(module, "cpus", f"numbers from {_NUMBERS[0]} to {_NUMBERS[-1]}", number)
    models = [VcpuModel(name) for name in module.params["cpu_models"]]
    processors = [Processors(number, model) for number in module.params["cpus"] for model in models]
    firmware = module.params["firmware"]
    return LaunchInputs(Path(firmware) if firmware is not None else find_snp_ovmf().code, processors)
