#!/usr/bin/python
# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep the key that signs node images, and let another take its place."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_key
short_description: Keep the key that signs node images, and rotate it
version_added: 0.1.0
description:
  - Makes the key where there is none, ECDSA P-256, mode 0600, and never overwrites one. Its public half is part of
    every image, by which nodes judge the images of other nodes.
  - Whom a node believes lies in its measured root. So another key takes the place of this one from image to image, in
    three stages, while images that are in use together believe one another. O(stage) goes one stage further; build an
    image at each, and go on when every node has booted it.
author:
  - The Constellation authors (@constellation-kubernetes)
extends_documentation_fragment:
  - constellation.core.attributes
options:
  path:
    description:
      - File of the private key. During a rotation the other key lies beside it, as C(.next) or C(.previous).
      - C(constellation image build) uses C(~/.config/constellation/image.key).
    type: path
    required: true
  public_key:
    description:
      - File for the public keys that images are judged by, PEM. During a rotation there are two.
    type: path
  stage:
    description:
      - The stage of a rotation. Without it, the one that is reached.
      - V(introduced) makes the key that is to come. The old one signs, and new images believe both.
      - V(switched) lets the new key sign. New images believe both.
      - V(steady) removes the private half of the old key for good. New images believe the new key only.
    type: str
    choices:
      - introduced
      - switched
      - steady
seealso:
  - module: constellation.core.image
"""

EXAMPLES = r"""
- name: Keep a key that signs images
  constellation.core.image_key:
    path: ~/.config/constellation/image.key
    public_key: ~/.config/constellation/image.pub

- name: Begin to rotate it
  constellation.core.image_key:
    path: ~/.config/constellation/image.key
    public_key: ~/.config/constellation/image.pub
    stage: introduced
"""

RETURN = r"""
stage:
  description: The stage that is reached; in check mode, the one that would be.
  type: str
  returned: always
  sample: steady
public_keys:
  description: Whose signatures new images believe, PEM. Empty in check mode where there is no key yet.
  type: str
  returned: always
files:
  description: Files with private keys that are there, to be kept in an escrow. In check mode, those before.
  type: list
  elements: str
  returned: always
fingerprints:
  description: SHA-256 of each public key, the signing one first, 64 hex digits.
  type: list
  elements: str
  returned: always
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.constellation.core.plugins.module_utils.kept_file import KeptFile
from ansible_collections.constellation.core.plugins.module_utils.told import told


def keep(module: AnsibleModule) -> dict[str, Any]:
    """Make the key, go to the stage, and write the public halves."""
    from constellation_engine.node_image.key_rotation import stage_of
    from constellation_engine.node_image.signing import (
        fingerprints,
        load_or_create_key,
        next_place,
        previous_place,
        trusted_keys,
    )

    path = Path(module.params["path"])
    there = path.exists() or path.is_symlink()
    before = f"{path}: {stage_of(path) if there else 'absent'}\n"
    if not module.check_mode:
        load_or_create_key(path)
    stage, moved = _go(module, path)
    keys = trusted_keys(path) if there or not module.check_mode else b""
    answer: dict[str, Any] = {
        "changed": moved or not there,
        "stage": stage,
        "public_keys": keys.decode("ascii"),
        "fingerprints": list(fingerprints(keys)) if keys else [],
        "files": [str(one) for one in (path, next_place(path), previous_place(path)) if one.exists()],
        "diff": [{"before": before, "after": f"{path}: {stage}\n"}],
    }
    if module.params["public_key"] is not None:  # in check mode nobody knows a key that is not made yet
        KeptFile(Path(module.params["public_key"]), answer["public_keys"]).keep(module, answer)
    return answer


def _go(module: AnsibleModule, path: Path) -> tuple[str, bool]:
    """Give the stage that is reached, and whether that is a step."""
    from constellation_engine.node_image.key_rotation import Stage, check_step, go_to, stage_of

    wanted = Stage(module.params["stage"]) if module.params["stage"] is not None else stage_of(path)
    if module.check_mode:
        check_step(path, wanted)
        return wanted.value, wanted is not stage_of(path)
    return wanted.value, go_to(path, wanted)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "public_key": {"type": "path"},
            "stage": {"type": "str", "choices": ["introduced", "switched", "steady"]},
        },
        supports_check_mode=True,
    )
    with told(module):
        module.exit_json(**keep(module))


if __name__ == "__main__":
    main()
