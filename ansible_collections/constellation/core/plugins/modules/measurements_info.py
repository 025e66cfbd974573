#!/usr/bin/python
# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Show what a node image measures, and who says so."""

from __future__ import annotations

DOCUMENTATION = r"""
module: measurements_info
short_description: Read what a node image measures, and verify who says so
version_added: 0.1.0
description:
  - Reads the C(measurements.json) of O(image), or a published one, and verifies its signature. Nothing of it is read
    before the signature holds, and one that does not hold fails the task.
author:
  - The Constellation authors (@constellation-kubernetes)
extends_documentation_fragment:
  - constellation.core.attributes.info
options:
  image:
    description:
      - Folder of a node image, or the name of one of the host that runs the task.
    type: str
  manifest:
    description:
      - File C(measurements.json) that somebody published. Its signature lies beside it, with C(.sig) after the name.
    type: path
  public_key:
    description:
      - Key of whom you trust to build images, PEM. O(manifest) needs one.
      - Without it, O(image) is verified by the key that its nodes believe. That shows that it fits together, and
        nothing of who built it.
    type: path
seealso:
  - module: constellation.core.measurements
"""

EXAMPLES = r"""
- name: See what an image measures
  constellation.core.measurements_info:
    image: constellation-node
  register: node
"""

RETURN = r"""
manifest:
  description: What is measured, in the words of C(measurements.json).
  type: dict
  returned: always
  contains:
    image: {description: Name and version of the image., type: str, returned: always}
    variant: {description: Platform that judges its machines., type: str, returned: always}
    measurements: {description: Registers by name., type: dict, returned: always}
    launch_digests: {description: "Launch digests, 96 hex digits each.", type: list, elements: str, returned: always}
    components: {description: Programs in it., type: list, elements: dict, returned: always}
    created: {description: 'When it was built (RFC 3339, UTC).', type: str, returned: always}
    stub: {description: Version of its systemd-stub., type: str, returned: always}
vouched_for:
  description: Whether a key that you named signed it.
  type: bool
  returned: always
fingerprints:
  description: SHA-256 of the keys by which it was verified, 64 hex digits.
  type: list
  elements: str
  returned: always
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.constellation.core.plugins.module_utils.chosen_image import (
    image_of,
    manifest_record,
    public_key_of,
)
from ansible_collections.constellation.core.plugins.module_utils.told import told


def look(module: AnsibleModule) -> dict[str, Any]:
    """Verify and read."""
    from constellation_engine.node_image.image_folder import ImageFile
    from constellation_engine.node_image.measurements import read_signed_file
    from constellation_engine.node_image.signing import fingerprints

    named = public_key_of(module)
    if module.params["image"] is not None:
        folder = image_of(module)
        signed, key = folder.read_signed(), named or folder.read(ImageFile.PUBLIC_KEY)
    else:
        signed, key = read_signed_file(Path(module.params["manifest"])), named or b""
    return {
        "changed": False,
        "manifest": manifest_record(signed.verify(key)),
        "vouched_for": named is not None,
        "fingerprints": list(fingerprints(key)),
    }


def main() -> None:
    """Run the module."""
    sources = ("image", "manifest")
    module = AnsibleModule(
        argument_spec={"image": {"type": "str"}, "manifest": {"type": "path"}, "public_key": {"type": "path"}},
        required_one_of=[sources],
        mutually_exclusive=[sources],
        required_by={"manifest": ("public_key",)},
        supports_check_mode=True,
    )
    with told(module):
        module.exit_json(**look(module))


if __name__ == "__main__":
    main()
