#!/usr/bin/python
# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Say whether a host can start SEV-SNP guests."""

from __future__ import annotations

DOCUMENTATION = r"""
module: snp_host_info
short_description: Say whether a host can start SEV-SNP guests
version_added: 0.1.0
description:
  - Looks at processor, BIOS, kernel and its command line, IOMMU, RMP table, KVM, the firmware of the secure processor,
    memory, QEMU, OVMF and swtpm, and says what is missing and what to do about each.
  - Needs nothing on the host but Python 3.9. Run it as root, or nobody can ask the firmware.
  - It succeeds on every host. Compare RV(ready) where a play has to stop.
author:
  - The Constellation authors (@constellation-kubernetes)
extends_documentation_fragment:
  - constellation.core.attributes.bare_info
options:
  memory:
    description: MiB of memory that the host must have.
    type: int
    default: 4096
  minimum_tcb:
    description:
      - Security version that each component of the firmware must have at least.
      - What a policy demands of reports (O(minimum_tcb)), a host should have before its first guest.
    type: dict
    default: {}
    suboptions:
      bootloader:
        description: Of the secure processor's boot loader.
        type: int
      tee:
        description: Of its operating system.
        type: int
      snp:
        description: Of the firmware of SNP.
        type: int
      microcode:
        description: Of the cores' microcode.
        type: int
      fmc:
        description: Of the first mutable code; Turin only.
        type: int
  certificates:
    description:
      - Folder that keeps the certificates of this host's processor, see M(constellation.core.snp_certificates).
      - Without it nobody looks for them.
    type: path
seealso:
  - module: constellation.core.snp_certificates
  - module: constellation.core.guest
"""

EXAMPLES = r"""
- name: Look at a host
  constellation.core.snp_host_info:
  become: true
  register: host

- name: Stop unless it can start SEV-SNP guests
  ansible.builtin.assert:
    that: host.ready
    fail_msg: "{{ host.verdict }}"
"""

RETURN = r"""
ready:
  description: Whether SEV-SNP guests can start.
  type: bool
  returned: always
verdict:
  description: One sentence, which names everything that is missing.
  type: str
  returned: always
  sample: This host can start SEV-SNP guests.
checks:
  description: Everything that was looked at, in the order in which one repairs it.
  type: list
  elements: dict
  returned: always
  contains:
    name:
      description: What it is.
      type: str
      sample: IOMMU
    ok:
      description: Whether it is as it should be.
      type: bool
    needed:
      description: Whether SNP guests need it; else a host is only better with it.
      type: bool
    expected:
      description: What it should be.
      type: str
    found:
      description: What it is.
      type: str
    fix:
      description: What to do; empty where there is nothing to do.
      type: str
product:
  description: Product line of the processor; empty for one without SEV-SNP.
  type: str
  returned: always
  sample: Milan
chip_ids:
  description: Id of the chip in each socket, hexadecimal; none where the firmware does not answer.
  type: list
  elements: str
  returned: always
reported_tcb:
  description: Security versions that reports carry, 16 hexadecimal digits; empty where the firmware does not answer.
  type: str
  returned: always
  sample: 04000000000018db
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.constellation.core.plugins.module_utils.host_files import HostFiles
from ansible_collections.constellation.core.plugins.module_utils.sev_firmware import (
    SevDeviceError,
    SevFirmware,
    product_line,
)
from ansible_collections.constellation.core.plugins.module_utils.snp_host import (
    MEMORY,
    Asked,
    is_ready,
    look_at,
    records,
    verdict,
)

COMPONENTS = ("bootloader", "tee", "snp", "microcode", "fmc")


def describe(module: AnsibleModule) -> dict[str, Any]:
    """Look at the host."""
    host, firmware = HostFiles(), SevFirmware()
    minimum = {name: least for name, least in module.params["minimum_tcb"].items() if least is not None}
    findings = look_at(host, firmware, Asked(module.params["memory"], minimum, module.params["certificates"] or ""))
    processor = host.processor()
    return {
        "changed": False,
        "ready": is_ready(findings),
        "verdict": verdict(findings),
        "checks": records(findings),
        "product": product_line(processor.family, processor.model) if processor.vendor == "AuthenticAMD" else "",
        **_identity(firmware),
    }


def _identity(firmware: SevFirmware) -> dict[str, Any]:
    try:
        chips, reported = firmware.chip_ids(), firmware.snp_status().reported_tcb
    except SevDeviceError:
        return {"chip_ids": [], "reported_tcb": ""}
    return {"chip_ids": [chip.hex() for chip in chips], "reported_tcb": reported.hex()}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "memory": {"type": "int", "default": MEMORY},
            "minimum_tcb": {
                "type": "dict",
                "default": {},
                "options": {name: {"type": "int"} for name in COMPONENTS},
            },
            "certificates": {"type": "path"},
        },
        supports_check_mode=True,
    )
    module.exit_json(**describe(module))


if __name__ == "__main__":
    main()
