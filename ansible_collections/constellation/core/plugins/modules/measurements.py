#!/usr/bin/python
# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Predict what a node image measures, sign it, and keep the policy that accepts it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: measurements
short_description: Predict and sign what a node image measures, and keep a policy for it
version_added: 0.1.0
description:
  - Predicts from the files of O(image) alone what a machine measures that boots it, writes that into its
    C(measurements.json) and into the ESP of its disk, and signs it. What already says so is left as it is.
  - Or takes what somebody else signed, O(manifest), after verifying it.
  - Of both it keeps the policy that accepts such machines, in the file O(policy).
author:
  - The Constellation authors (@constellation-kubernetes)
extends_documentation_fragment:
  - constellation.core.attributes
  - constellation.core.launch
options:
  image:
    description:
      - Folder of a node image, or the name of one of the host that runs the task.
    type: str
  key:
    description:
      - Private key that signs, ECDSA P-256, mode 0600. It must be one that nodes of O(image) believe.
    type: path
  manifest:
    description:
      - File C(measurements.json) that somebody published. Its signature lies beside it, with C(.sig) after the name.
    type: path
  public_key:
    description:
      - Key of whom you trust to build images, PEM, who must have signed O(manifest).
    type: path
  policy:
    description:
      - File for the policy, JSON. It is replaced where it says something else.
    type: path
  policy_rest:
    description:
      - What the policy says besides measurements, such as C(minimum_tcb), as C(constellation policy schema) describes.
        What the measurements say cannot be said again.
    type: dict
    default: {}
seealso:
  - module: constellation.core.measurements_info
  - module: constellation.core.image
"""

EXAMPLES = r"""
- name: Sign what an image measures
  constellation.core.measurements:
    image: ~/images/node
    key: ~/.config/constellation/image.key
    policy: ~/clusters/policy.json

- name: Accept an image that somebody published
  constellation.core.measurements:
    manifest: measurements.json
    public_key: builder.pub
    policy: policy.json
    policy_rest:
      minimum_tcb: {bootloader: 10, tee: 0, snp: 23, microcode: 84}
"""

RETURN = r"""
manifest:
  description: What is measured, in the words of C(measurements.json).
  type: dict
  returned: always
measurements_file:
  description: The file of the image that says so.
  type: str
  returned: when O(image) is given
  sample: /home/user/images/node/measurements.json
policy:
  description: The policy.
  type: dict
  returned: when O(policy) is given
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.constellation.core.plugins.module_utils.chosen_image import (
    image_of,
    manifest_record,
    public_key_of,
)
from ansible_collections.constellation.core.plugins.module_utils.kept_file import KeptFile
from ansible_collections.constellation.core.plugins.module_utils.launching import LAUNCH, NEEDED_BY, TOGETHER, launch_of
from ansible_collections.constellation.core.plugins.module_utils.told import told

if TYPE_CHECKING:
    from constellation_core.image_manifest import ImageManifest


def work(module: AnsibleModule) -> dict[str, Any]:
    """Keep measurements and policy."""
    answer: dict[str, Any] = {"changed": False, "diff": []}
    manifest = _predicted(module, answer) if module.params["image"] is not None else _published(module)
    answer["manifest"] = manifest_record(manifest)
    if module.params["policy"] is not None:
        policy = manifest.policy(module.params["policy_rest"]).to_mapping()
        answer["policy"] = policy
        KeptFile(Path(module.params["policy"]), f"{json.dumps(policy, indent=2)}\n").keep(module, answer)
    return answer


def _predicted(module: AnsibleModule, answer: dict[str, Any]) -> ImageManifest:
    """Predict, and let the image say so."""
    from constellation_engine.node_image.image_folder import ImageFile
    from constellation_engine.node_image.measurements import is_as_written, predict_again, write_measurements
    from constellation_engine.node_image.signing import check_signer, load_key

    folder, key = image_of(module), load_key(Path(module.params["key"]))
    manifest = predict_again(folder, launch_of(module))
    check_signer(folder, key)
    place = folder.place(ImageFile.MEASUREMENTS)
    answer["measurements_file"] = str(place)
    if not is_as_written(folder, manifest, key):
        answer["changed"] = True
        answer["diff"].append(KeptFile(place, manifest.to_document().decode("ascii")).diff)
        if not module.check_mode:
            write_measurements(folder, manifest, key)
    return manifest


def _published(module: AnsibleModule) -> ImageManifest:
    """Read what somebody signed whom we trust."""
    from constellation_engine.node_image.measurements import read_signed_file

    return read_signed_file(Path(module.params["manifest"])).verify(public_key_of(module) or b"")


def main() -> None:
    """Run the module."""
    sources = ("image", "manifest")
    module = AnsibleModule(
        argument_spec={
            **LAUNCH,
            "image": {"type": "str"},
            "key": {"type": "path", "no_log": False},
            "manifest": {"type": "path"},
            "public_key": {"type": "path"},
            "policy": {"type": "path"},
            "policy_rest": {"type": "dict", "default": {}},
        },
        required_one_of=[sources],
        mutually_exclusive=[sources],
        required_together=[*TOGETHER, ("image", "key"), ("manifest", "public_key")],
        required_by={**NEEDED_BY, "manifest": ("policy",)},
        supports_check_mode=True,
    )
    with told(module):
        module.exit_json(**work(module))


if __name__ == "__main__":
    main()
