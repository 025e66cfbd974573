#!/usr/bin/python
# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep the master secret of a cluster in a file."""

from __future__ import annotations

DOCUMENTATION = r"""
module: master_secret
short_description: Keep the master secret of a cluster in a file
version_added: 0.1.0
description:
  - Every key of a cluster derives from its master secret. Whoever has the file can open every disk, and without it a
    cluster that stopped as a whole is lost.
  - Makes the file where there is none, mode 0600, and never overwrites one. It is not removed either.
  - A master secret is not rotated. A cluster keeps its own for life, and another secret means another cluster. What can
    be rotated is the key that signs images, see M(constellation.core.image_key).
author:
  - The Constellation authors (@constellation-kubernetes)
extends_documentation_fragment:
  - constellation.core.attributes
options:
  path:
    description:
      - File of the master secret. Its folder must exist.
    type: path
    required: true
  secret:
    description:
      - The secret that the file shall have, 64 hex digits. Without it a new file gets a random one.
      - A file that has another secret is refused and stays as it is.
    type: str
  salt:
    description:
      - The salt that belongs to O(secret), 64 hex digits. It is not secret.
    type: str
seealso:
  - module: constellation.core.cluster
  - module: constellation.core.key_escrow
  - module: constellation.core.ssh_authority
"""

EXAMPLES = r"""
- name: Keep a master secret
  constellation.core.master_secret:
    path: ~/clusters/mini/master-secret.json

- name: Bring a master secret back from an escrow
  constellation.core.master_secret:
    path: ~/clusters/mini/master-secret.json
    secret: "{{ vault_master_secret }}"
    salt: "{{ vault_master_salt }}"
"""

RETURN = r"""
path:
  description: The file.
  type: str
  returned: always
  sample: /home/user/clusters/mini/master-secret.json
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.constellation.core.plugins.module_utils.told import told

if TYPE_CHECKING:
    from constellation_core.keys.master_secret import MasterSecret

NO_ROTATION = (
    "a cluster keeps its master secret for life, for the keys of its disks derive from it; to rotate it make another"
    " cluster with a secret of its own (another path), move the workload there, and keep this file until the disks of"
    " the old one are gone"
)


def keep(module: AnsibleModule) -> dict[str, Any]:
    """Make the file, unless there is one."""
    from constellation_core.errors import SecretFileError
    from constellation_core.keys.master_secret import MasterSecret

    path, wanted = Path(module.params["path"]), _wanted(module)
    there = path.exists() or path.is_symlink()
    if there:
        if wanted not in (None, MasterSecret.load(path)):
            raise SecretFileError(
                f"{path} has another master secret than the option secret says, and is never overwritten",
                hint=NO_ROTATION,
            )
    elif not module.check_mode:
        (wanted or MasterSecret.random()).create(path)
    before, after = f"{path}: {'there' if there else 'absent'}\n", f"{path}: there\n"
    return {"changed": not there, "path": str(path), "diff": {"before": before, "after": after}}


def _wanted(module: AnsibleModule) -> MasterSecret | None:
    from constellation_core.keys.master_secret import MasterSecret
    from constellation_core.keys.secret import Secret

    if module.params["secret"] is None:
        return None
    values = {}
    for name in ("secret", "salt"):
        try:
            values[name] = bytes.fromhex(module.params[name])
        except ValueError:
            module.fail_json(msg=f"Option {name}: expected 64 hex digits.")
    return MasterSecret(Secret(values["secret"]), values["salt"])


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "secret": {"type": "str", "no_log": True},
            "salt": {"type": "str", "no_log": False},
        },
        required_together=[("secret", "salt")],
        supports_check_mode=True,
    )
    with told(module):
        module.exit_json(**keep(module))


if __name__ == "__main__":
    main()
