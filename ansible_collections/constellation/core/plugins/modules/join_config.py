#!/usr/bin/python
# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep which machines may join a cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
module: join_config
short_description: Keep which machines may join a cluster
version_added: 0.1.0
description:
  - Every cluster has a document that says which machines may join - images that people approve, or whole policies, and
    who may become a control plane. This module keeps it, and shows what changes in it.
  - What the join service would refuse is refused here, and nothing is written. Join services take a new version within
    seconds. The last five that were accepted are in the history of the cluster.
  - Give the document, or what it is written from, or the number of an earlier version.
author:
  - The Constellation authors (@constellation-kubernetes)
extends_documentation_fragment:
  - constellation.core.attributes
  - constellation.core.workspace.choice
  - constellation.core.kubeconfig
  - constellation.core.timeout
options:
  document:
    description:
      - The whole document, YAML.
    type: str
  images:
    description:
      - Node images that machines may boot, one of several - each a folder, or the name of an image of the host that
        runs the task. Their nodes believe one key in common; while a key is rotated, see
        M(constellation.core.image_key), there may be another one. What the cluster demands beside them stays.
    type: list
    elements: str
  policies:
    description:
      - Files with policies, JSON or YAML, one of which is enough for a machine.
    type: list
    elements: path
  max_control_planes:
    description:
      - How many control planes may join. Usually what the cluster has now. Goes with O(images) and O(policies).
    type: int
  approval:
    description:
      - Whether a person has to approve each control plane, see M(constellation.core.node_approval). Usually what the
        cluster has now. Goes with O(images) and O(policies).
    type: bool
  revision:
    description:
      - Number of an earlier version to go back to. It becomes the newest one, with a new number.
    type: int
seealso:
  - module: constellation.core.node_approval
"""

EXAMPLES = r"""
- name: Accept a new image beside the old one
  constellation.core.join_config:
    workspace: ~/clusters/mini
    images:
      - qemu-vtpm-release
      - ~/images/next

- name: Go back
  constellation.core.join_config:
    workspace: ~/clusters/mini
    revision: 3
"""

RETURN = r"""
document:
  description: Which machines may join, YAML.
  type: str
  returned: always
revision:
  description: Number of this version in the history; 0 where it is not known before it is written.
  type: int
  returned: always
  sample: 4
revisions:
  description: Numbers of the versions in the history, oldest first, before anything changed.
  type: list
  elements: int
  returned: always
  sample: [1, 2, 3]
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.constellation.core.plugins.module_utils.acceptance import ACCEPTABLE, read_policies
from ansible_collections.constellation.core.plugins.module_utils.chosen_cluster import (
    CLUSTER,
    api_server,
    workspace_of,
)
from ansible_collections.constellation.core.plugins.module_utils.options import (
    at_least_a_second,
    refuse,
    require,
    timeout,
)
from ansible_collections.constellation.core.plugins.module_utils.told import told

if TYPE_CHECKING:
    from collections.abc import Sequence

    from constellation_core.cluster_history import Revision
    from constellation_core.join_config import JoinConfig
    from constellation_engine.cluster.join_config import StoredJoinConfig

WRITTEN_FROM = ("images", "policies")


def keep(module: AnsibleModule) -> dict[str, Any]:
    """Write the document, unless the cluster has it."""
    from constellation_core import rules
    from constellation_core.join_config import JoinConfig
    from constellation_engine.cluster.join_config import history, put, says_the_same, stored

    require(module, {"timeout": at_least_a_second, "max_control_planes": rules.control_plane_limit})
    with api_server(module) as client:
        there, known = stored(client), history(client)
        wanted = _wanted(module, there, known)
        JoinConfig.from_yaml(wanted)
        changed = not says_the_same(there.text, wanted)
        number = max((one.number for one in known if one.text == there.text), default=0) if not changed else 0
        if changed and not module.check_mode:
            number = put(client, wanted, seen=there.version).number
    if not module.check_mode:
        _remember(module, wanted)
    after = wanted if changed else there.text
    return {
        "changed": changed,
        "document": after,
        "revision": number,
        "revisions": [one.number for one in known],
        "diff": {"before": there.text, "after": after},
    }


def _wanted(module: AnsibleModule, there: StoredJoinConfig, known: Sequence[Revision]) -> str:
    """Give the document: as it is given, from the history, or written."""
    if module.params["document"] is not None:
        return str(module.params["document"])
    number = module.params["revision"]
    if number is None:
        return _written(module, there)
    found = [one.text for one in known if one.number == number]
    if not found:
        numbers = ", ".join(str(one.number) for one in known) or "none"
        refuse(module, "revision", f"one of the history ({numbers})", number)
    return found[0]


def _written(module: AnsibleModule, there: StoredJoinConfig) -> str:
    from constellation_core.join_config import ControlPlanes, JoinConfig
    from constellation_engine.errors import ImageKeyError
    from constellation_engine.node_image.choosing import named_image
    from constellation_engine.node_image.signing import joined_keys

    found = [named_image(name) for name in module.params["images"] or ()]
    keys = [key for one in found if (key := one.public_key()) is not None]
    try:
        believed = joined_keys(keys)
    except ImageKeyError:
        refuse(module, "images", "images that one key signed", module.params["images"])
    variants = {one.build.variant for one in found}
    known = _parsed(there)
    asked: dict[str, Any] = {"max": module.params["max_control_planes"], "approval": module.params["approval"]}
    return JoinConfig(
        image_key=believed.decode("ascii"),
        images=tuple(one.signed for one in found),
        rest={variant: rest for variant, rest in known.rest.items() if variant in variants} if known else {},
        explicit=tuple(read_policies(module)),
        control_planes=replace(
            known.control_planes if known else ControlPlanes(),
            **{name: value for name, value in asked.items() if value is not None},
        ),
    ).to_yaml()


def _parsed(there: StoredJoinConfig) -> JoinConfig | None:
    """Read what the cluster has; nothing where that is none, or no machine can join by it."""
    from constellation_core.errors import ConfigError

    try:
        return there.parse()
    except ConfigError:
        return None


def _remember(module: AnsibleModule, document: str) -> None:
    """Let the workspace say it too: M(constellation.core.cluster) looks there for what is wanted."""
    from constellation_engine.local_cluster.settings import read_settings, write_settings

    if module.params["workspace"] is not None:
        workspace = workspace_of(module)
        write_settings(workspace, replace(read_settings(workspace), join_config=document))


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **CLUSTER,
            **ACCEPTABLE,
            **timeout(30),
            "document": {"type": "str"},
            "max_control_planes": {"type": "int"},
            "approval": {"type": "bool"},
            "revision": {"type": "int"},
        },
        mutually_exclusive=[
            ("workspace", "kubeconfig"),
            *((one, other) for one in ("document", "revision") for other in (*WRITTEN_FROM, "max_control_planes")),
            *((one, "approval") for one in ("document", "revision")),
            ("document", "revision"),
        ],
        required_one_of=[("workspace", "kubeconfig"), ("document", "revision", *WRITTEN_FROM)],
        supports_check_mode=True,
    )
    with told(module):
        module.exit_json(**keep(module))


if __name__ == "__main__":
    main()
