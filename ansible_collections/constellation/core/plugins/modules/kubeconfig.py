#!/usr/bin/python
# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep a cluster in a kubeconfig of the user's."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kubeconfig
short_description: Keep a cluster in a kubeconfig
version_added: 0.1.0
description:
  - Puts the cluster of a workspace into a kubeconfig, beside those that are in it, or takes it out. What else is in the
    file stays.
  - The file is for its owner alone, mode 0600, whatever it was before. Keys are in no answer and in no diff.
author:
  - The Constellation authors (@constellation-kubernetes)
extends_documentation_fragment:
  - constellation.core.attributes
options:
  path:
    description:
      - The kubeconfig, such as V(~/.kube/config). Its folder must exist.
    type: path
    required: true
  workspace:
    description:
      - Folder of a cluster on the host that runs the task. Needed when O(state=present).
    type: path
  context:
    description:
      - What the cluster is called in the file - its context, its user and itself. Usually the name of the cluster.
      - Needed when O(state=absent).
    type: str
  current:
    description:
      - Whether it becomes the current context. In a file without one it does in any case.
    type: bool
    default: false
  state:
    description:
      - Whether the cluster is in the file.
    type: str
    choices: [present, absent]
    default: present
"""

EXAMPLES = r"""
- name: Let kubectl find the cluster
  constellation.core.kubeconfig:
    workspace: ~/clusters/mini
    path: ~/.kube/config
    current: true

- name: Take it out again
  constellation.core.kubeconfig:
    path: ~/.kube/config
    context: mini
    state: absent
"""

RETURN = r"""
path:
  description: The kubeconfig.
  type: str
  returned: always
  sample: /home/user/.kube/config
context:
  description: What the cluster is called in it.
  type: str
  returned: always
  sample: mini
host:
  description: URL of the API server.
  type: str
  returned: when O(state=present)
  sample: https://127.0.0.1:36443
"""

import stat
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.constellation.core.plugins.module_utils.chosen_cluster import kubeconfig_of, workspace_of
from ansible_collections.constellation.core.plugins.module_utils.options import refuse
from ansible_collections.constellation.core.plugins.module_utils.told import told

MODE = 0o600


def keep(module: AnsibleModule) -> dict[str, Any]:
    """Put the cluster in, or take it out."""
    from constellation_engine.cluster.kubeconfig_entries import dump, outline, parse
    from constellation_engine.local_cluster.workspace import write_private

    path = Path(module.params["path"])
    content, mode = _read(module, path)
    before = parse(content, str(path))
    after, answer = _changed(module, before)
    changed = before != after or (bool(content) and mode != MODE)
    if changed and not module.check_mode:
        write_private(path, dump(after))
    shown = [
        "".join(f"{line}\n" for line in (f"mode: {octal:04o}", *outline(record))) if octal else ""
        for record, octal in ((before, mode), (after, MODE if changed else mode))
    ]
    return {"changed": changed, "path": str(path), "diff": dict(zip(("before", "after"), shown, strict=True)), **answer}


def _read(module: AnsibleModule, path: Path) -> tuple[bytes, int]:
    """Give content and mode of the file; nothing, and 0, where there is none."""
    if not path.parent.is_dir():
        refuse(module, "path", "a file in a folder that exists", str(path))
    try:
        return path.read_bytes(), stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return b"", 0
    except OSError as error:
        refuse(module, "path", f"a file that can be read ({error.strerror})", str(path))


def _changed(module: AnsibleModule, before: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Give what the file shall hold, and what is to be said of it."""
    from constellation_engine.cluster.credentials import read_credentials
    from constellation_engine.cluster.kubeconfig_entries import with_cluster, without_cluster

    if module.params["state"] == "absent":
        name = module.params["context"]
        return without_cluster(before, name), {"context": name}
    found = read_credentials(kubeconfig_of(module))
    name = module.params["context"] or workspace_of(module).state.spec.name
    return with_cluster(before, name, found, current=module.params["current"]), {"context": name, "host": found.host}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "workspace": {"type": "path"},
            "context": {"type": "str"},
            "current": {"type": "bool", "default": False},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        required_if=[("state", "present", ["workspace"]), ("state", "absent", ["context"])],
        supports_check_mode=True,
    )
    with told(module):
        module.exit_json(**keep(module))


if __name__ == "__main__":
    main()
