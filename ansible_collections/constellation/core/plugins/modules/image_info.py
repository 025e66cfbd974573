#!/usr/bin/python
# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Show node images."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_info
short_description: Look for node images, and verify them
version_added: 0.1.0
description:
  - Lists the images of the host that runs the task, or those of a published list, newest first. Options say which.
  - What an image says to be is nobody's word. With O(public_key) the signature of every image that is found is
    verified, and one that does not hold fails the task. With O(verify) each image is verified as a whole, to every
    block of its root, which takes some seconds.
author:
  - The Constellation authors (@constellation-kubernetes)
extends_documentation_fragment:
  - constellation.core.attributes.info
  - constellation.core.launch
options:
  image:
    description:
      - One image, a folder or a name. It must be there.
    type: str
  folder:
    description:
      - Folder with the folders of images. Default is C($CONSTELLATION_IMAGES), else that of the user.
    type: path
  catalogue:
    description:
      - File with a published list of images.
    type: path
  variant:
    description:
      - Only images for this platform, such as V(qemu-vtpm).
    type: str
  version:
    description:
      - Only images of this version.
    type: str
  profile:
    description:
      - Only images that let people in so much.
    type: str
    choices:
      - release
      - debug
      - emergency-access
  public_key:
    description:
      - Key of whom you trust to build images, PEM.
    type: path
  verify:
    description:
      - Verify whole images. Needs O(public_key); an image that is not accepted does not fail the task.
    type: bool
    default: false
seealso:
  - module: constellation.core.image
"""

EXAMPLES = r"""
- name: Find the newest image of this host
  constellation.core.image_info:
    variant: qemu-vtpm
    profile: release
    public_key: ~/.config/constellation/image.key
  register: images

- name: Say what machines boot
  ansible.builtin.debug:
    msg: "{{ images.images[0].reference }}"
"""

RETURN = r"""
images:
  description: The images, newest first.
  type: list
  elements: dict
  returned: always
  contains:
    name: {description: Name of the image., type: str, returned: always}
    version: {description: Its version., type: str, returned: always}
    short_path: {description: 'Name, variant, profile and version.', type: str, returned: always}
    target: {description: What it was built for., type: str, returned: always}
    variant: {description: Platform that judges its machines., type: str, returned: always}
    profile: {description: How much it lets people in., type: str, returned: always}
    kubernetes_version: {description: Version of Kubernetes in it., type: str, returned: always}
    created: {description: 'When it was built (RFC 3339, UTC).', type: str, returned: always}
    path: {description: Folder on this host; null where it is only published., type: str, returned: always}
    reference: {description: What machines boot., type: str, returned: always}
    manifest: {description: What it measures., type: dict, returned: when O(public_key) is given}
    verdict: {description: Every reason against it., type: dict, returned: when O(verify) is true and it has a folder}
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.constellation.core.plugins.module_utils.chosen_image import (
    image_record,
    manifest_record,
    public_key_of,
)
from ansible_collections.constellation.core.plugins.module_utils.launching import LAUNCH, NEEDED_BY, TOGETHER, launch_of
from ansible_collections.constellation.core.plugins.module_utils.told import told

if TYPE_CHECKING:
    from constellation_engine.node_image.choosing import FoundImage
    from constellation_engine.node_image.launch import LaunchInputs

SELECTORS = ("variant", "version", "profile")


def look(module: AnsibleModule) -> dict[str, Any]:
    """Find, and verify."""
    from constellation_engine.node_image.choosing import Wanted

    key, launch = public_key_of(module), launch_of(module)
    wanted = Wanted(**{name: module.params[name] for name in SELECTORS})
    found = [one for one in _found(module) if wanted.fits(one.build)]
    return {"changed": False, "images": [_entry(module, one, key, launch) for one in found]}


def _found(module: AnsibleModule) -> list[FoundImage]:
    """Give the images of the place that is meant."""
    from constellation_engine.node_image.choosing import all_local, all_published, named_image
    from constellation_engine.node_image.local_images import default_folder

    if module.params["image"] is not None:
        return [named_image(module.params["image"])]
    if module.params["catalogue"] is not None:
        return list(all_published(Path(module.params["catalogue"])))
    return list(all_local(Path(module.params["folder"]) if module.params["folder"] is not None else default_folder()))


def _entry(module: AnsibleModule, found: FoundImage, key: bytes | None, launch: LaunchInputs | None) -> dict[str, Any]:
    from constellation_engine.node_image.verification import verify_image

    entry = image_record(found)
    if key is not None:
        if module.params["verify"] and found.folder is not None:
            entry["verdict"] = verify_image(found.folder, key, launch=launch).to_mapping()
        entry["manifest"] = manifest_record(found.signed.verify(key))
    return entry


def main() -> None:
    """Run the module."""
    places = ("image", "folder", "catalogue")
    module = AnsibleModule(
        argument_spec={
            **LAUNCH,
            **{name: {"type": "path"} for name in ("folder", "catalogue", "public_key")},
            **{name: {"type": "str"} for name in ("image", "variant", "version")},
            "profile": {"type": "str", "choices": ["release", "debug", "emergency-access"]},
            "verify": {"type": "bool", "default": False},
        },
        mutually_exclusive=[places],
        required_if=[("verify", True, ("public_key",))],
        required_together=TOGETHER,
        required_by=NEEDED_BY,
        supports_check_mode=True,
    )
    with told(module):
        module.exit_json(**look(module))


if __name__ == "__main__":
    main()
