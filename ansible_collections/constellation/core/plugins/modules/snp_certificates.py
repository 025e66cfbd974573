#!/usr/bin/python
# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep the certificates of an SEV-SNP host's processor."""

from __future__ import annotations

DOCUMENTATION = r"""
module: snp_certificates
short_description: Keep the certificates of an SEV-SNP host's processor
version_added: 0.1.0
description:
  - Fetches the certificate of the key that signs a processor's reports, sees that AMD vouches for it, and keeps it with
    the chain above it. AMD's service limits how often it is asked; what is kept is not asked for again.
  - The host need not reach that service. Run it on one that does, for what M(constellation.core.snp_host_info) says of
    another.
author:
  - The Constellation authors (@constellation-kubernetes)
extends_documentation_fragment:
  - constellation.core.attributes
options:
  path:
    description: Folder that keeps them. It is made if it is not there.
    type: path
    required: true
  product:
    description: Product line of the processor.
    type: str
    choices: [Milan, Genoa, Turin]
    required: true
  chip_id:
    description: Id of the chip, 128 hex digits.
    type: str
    required: true
  reported_tcb:
    description: Security versions that its reports carry, 16 hex digits.
    type: str
    required: true
  kds:
    description: Address of AMD's key distribution service, or of a mirror of it.
    type: str
    default: https://kdsintf.amd.com
seealso:
  - module: constellation.core.snp_host_info
"""

EXAMPLES = r"""
- name: Ask a host who it is
  constellation.core.snp_host_info:
  become: true
  register: host

- name: Keep its certificates on the controller
  constellation.core.snp_certificates:
    path: ~/.cache/constellation/certificates/{{ inventory_hostname }}
    product: "{{ host.product }}"
    chip_id: "{{ host.chip_ids | first }}"
    reported_tcb: "{{ host.reported_tcb }}"
  delegate_to: localhost
"""

RETURN = r"""
chain:
  description: File with the chain of the product line, PEM.
  type: str
  returned: always
  sample: /var/lib/constellation/certificates/milan-chain.pem
certificate:
  description: File with the certificate of the processor, DER.
  type: str
  returned: always
  sample: /var/lib/constellation/certificates/vcek-04000000000018db.der
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.constellation.core.plugins.module_utils.options import refuse
from ansible_collections.constellation.core.plugins.module_utils.told import told


def keep_certificates(module: AnsibleModule) -> dict[str, Any]:
    """Fetch what is not kept yet."""
    from attestation.snp.kds import Kds
    from attestation.snp.kds_transport import HttpsTransport
    from attestation.snp.product import Product
    from constellation_engine.chip_certificates import Chip, keep, not_kept

    folder = Path(module.params["path"])
    chip = Chip(Product(module.params["product"]), _hex(module, "chip_id", 64), _hex(module, "reported_tcb", 8))
    kds = Kds(HttpsTransport(module.params["kds"]))
    missing = not_kept(chip, folder)
    if missing and not module.check_mode:
        keep(chip, folder, kds)
    after = "".join(f"{folder / name}\n" for name in (chip.chain_file, chip.certificate_file))
    before = "".join(f"{folder / name}\n" for name in (chip.chain_file, chip.certificate_file) if name not in missing)
    return {
        "changed": bool(missing),
        "chain": str(folder / chip.chain_file),
        "certificate": str(folder / chip.certificate_file),
        "diff": {"before": before, "after": after},
    }


def _hex(module: AnsibleModule, name: str, size: int) -> bytes:
    text = module.params[name]
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if len(value) != size:
        refuse(module, name, f"{2 * size} hex digits", text)
    return value


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "product": {"type": "str", "choices": ["Milan", "Genoa", "Turin"], "required": True},
            "chip_id": {"type": "str", "required": True},
            "reported_tcb": {"type": "str", "required": True},
            "kds": {"type": "str", "default": "https://kdsintf.amd.com"},
        },
        supports_check_mode=True,
    )
    with told(module):
        module.exit_json(**keep_certificates(module))


if __name__ == "__main__":
    main()
