#!/usr/bin/python
# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep an encrypted copy of a cluster's keys, for people by name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: key_escrow
short_description: Keep an encrypted copy of keys, for people by name
version_added: 0.1.0
description:
  - Encrypts files with secrets for several people, each of whom can open them alone, with the program C(age) and
    without Constellation.
  - A record beside the file says for whom it is, and which contents it has, by their hash. So it is written again only
    when files or recipients changed, and no private key is needed to know that.
  - Who is left out of O(recipients) still opens the copies that they have. Their secrets are not secret to them any
    more.
author:
  - The Constellation authors (@constellation-kubernetes)
extends_documentation_fragment:
  - constellation.core.attributes
requirements:
  - constellation-kubernetes[escrow] on the host that runs the task
options:
  path:
    description:
      - File for the encrypted copy, armored, so that it can be sent, printed or committed.
      - Its record lies beside it, with C(.json) after the name.
    type: path
    required: true
  files:
    description:
      - Files with secrets, mode 0600, of different names.
    type: list
    elements: path
    required: true
  recipients:
    description:
      - Name of a person to their public key, of age (V(age1…)) or of SSH (V(ssh-ed25519 …), V(ssh-rsa …)).
    type: dict
    required: true
notes:
  - To open it run C(age --decrypt --identity PRIVATE_KEY FILE | tar --extract).
  - Keys of age and SSH do not withstand a quantum computer. Keep the encrypted copy where few people can have it.
seealso:
  - module: constellation.core.master_secret
"""

EXAMPLES = r"""
- name: Two people can bring the keys back
  constellation.core.key_escrow:
    path: ~/clusters/mini/keys.age
    files:
      - ~/clusters/mini/master-secret.json
      - ~/.config/constellation/image.key
    recipients:
      ada: age1hgp625et8y0na40f6dhn49dfryyh24nqmn8pmr964328uvmwygxsh50twk
      bob: "{{ lookup('ansible.builtin.file', 'bob.pub') }}"
"""

RETURN = r"""
path:
  description: The encrypted copy.
  type: str
  returned: always
record:
  description: The record beside it.
  type: str
  returned: always
reasons:
  description: Why it was written; empty where nothing changed.
  type: list
  elements: str
  returned: always
  sample: ["recipient bob"]
recipients:
  description: Names of those who can open it.
  type: list
  elements: str
  returned: always
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.constellation.core.plugins.module_utils.options import refuse
from ansible_collections.constellation.core.plugins.module_utils.told import told


def keep(module: AnsibleModule) -> dict[str, Any]:
    """Write the copy where something changed."""
    from constellation_engine.escrow import Escrow

    for name, key in module.params["recipients"].items():
        if not isinstance(key, str):
            refuse(module, "recipients", f"a public key of {name}", type(key).__name__)
    files = [Path(file) for file in module.params["files"]]
    escrow = Escrow(Path(module.params["path"]), files, module.params["recipients"])
    reasons, there = escrow.differences(), escrow.there()
    if reasons and not module.check_mode:
        escrow.write()
    return {
        "changed": bool(reasons),
        "path": module.params["path"],
        "record": str(escrow.place_of_record),
        "reasons": list(reasons),
        "recipients": sorted(module.params["recipients"]),
        "diff": {"before": _shown(there) if there else "absent\n", "after": _shown(escrow.wanted)},
    }


def _shown(record: Any) -> str:  # noqa: ANN401 - of the library, which is imported late
    lines = [f"file {name} {sha256}\n" for name, sha256 in sorted(record.files.items())]
    return "".join(lines + [f"recipient {name} {key}\n" for name, key in sorted(record.recipients.items())])


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "files": {"type": "list", "elements": "path", "required": True},
            "recipients": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    with told(module):
        module.exit_json(**keep(module))


if __name__ == "__main__":
    main()
