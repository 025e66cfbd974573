#!/usr/bin/python
# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep a node image, and bring it to where others take it from."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image
short_description: Build a node image, or take one that is there, and publish it
version_added: 0.1.0
description:
  - Builds the image that nodes boot, from a checkout of Constellation. An image in O(path) that is what a build would
    make now is left as it is. Compared are target, profile, versions, the time of the checkout, container images,
    packages, key and signature. Changes of the checkout that are not committed are not seen.
  - With O(image) it builds nothing, and takes an image that is there.
  - With O(publish_to) the image is verified, as a whole, and copied there. One that is not accepted is not copied, and
    one that is there already is compared and not copied again.
author:
  - The Constellation authors (@constellation-kubernetes)
extends_documentation_fragment:
  - constellation.core.attributes
  - constellation.core.launch
options:
  image:
    description:
      - An image that is there, instead of one that is built. A folder, or the name of one of the host that runs the
        task.
    type: str
  path:
    description:
      - Folder of the image that is built. An image that is there and is another is replaced; a folder with something
        else is not.
      - Default is a folder called after O(target) and O(profile) among the images of the user.
    type: path
  target:
    description:
      - What the image is for, the name of an attestation variant, such as V(qemu-vtpm) or V(qemu-snp).
    type: str
    default: qemu-vtpm
  profile:
    description:
      - How much it lets people in. Nodes of V(debug) have a shell, and are given no secrets.
    type: str
    choices:
      - release
      - debug
      - emergency-access
    default: release
  kubernetes:
    description:
      - Version of Kubernetes, as V(1.36) or V(1.36.4). Default is the newest.
    type: str
  container_images:
    description:
      - Container images that pods are to find, V(FILE) or V(NAME:TAG=FILE), each an OCI archive or the folder of an OCI
        layout. A node has no network but its peers, so what pods run is part of its image.
    type: list
    elements: str
    default: []
  from_manifest:
    description:
      - File C(packages.json) of an image, to build from these very packages.
    type: path
  key:
    description:
      - Private key that signs, ECDSA P-256. It is made where there is none.
      - Default is C(constellation/image.key) in the configuration folder of the user.
    type: path
  repository:
    description:
      - Checkout of Constellation. Default is the one that the library is from.
    type: path
  mirror:
    description:
      - Mirror of Debian's archive, a URL. Default is that of the host's apt.
    type: str
  security_mirror:
    description:
      - Mirror of Debian's security archive, a URL.
    type: str
  cache:
    description:
      - Folder of what is kept between builds.
    type: path
  timeout:
    description:
      - Seconds that a build may take. Four minutes are enough on two slow cores if everything was fetched before.
    type: int
    default: 3600
  publish_to:
    description:
      - Folder to copy the image to, such as one that a web server publishes.
    type: path
  public_key:
    description:
      - Key by which the image is verified before it is published, PEM. Default is O(key).
    type: path
  catalogue:
    description:
      - File with a list of images, in which the place is noted. It may be new.
    type: path
seealso:
  - module: constellation.core.image_info
  - module: constellation.core.measurements
"""

EXAMPLES = r"""
- name: Keep an image
  constellation.core.image:
    path: ~/images/node
    container_images:
      - registry.example/shop:1.0=shop.tar

- name: Publish it
  constellation.core.image:
    image: ~/images/node
    publish_to: /srv/images
    catalogue: /srv/images/catalogue.json
    public_key: ~/.config/constellation/image.key
"""

RETURN = r"""
image:
  description: The image. In check mode, the one that is there before it is built.
  type: dict
  returned: when there is one
  sample:
    name: constellation-node
    version: 0.1.0
    path: /home/user/images/node
path:
  description: Folder of the image.
  type: str
  returned: always
reasons:
  description: Why it was built; empty where the one that is there is what a build would make.
  type: list
  elements: str
  returned: always
  sample: ["kubernetes is 1.35.2, and should be 1.36.4"]
place:
  description: Where the published image is.
  type: dict
  returned: when O(publish_to) is given, except in check mode
  sample: {kind: file, location: /srv/images/constellation-node-0.1.0-qemu-vtpm-release/node.raw, size: 1288490188}
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.constellation.core.plugins.module_utils.chosen_image import image_of, image_record
from ansible_collections.constellation.core.plugins.module_utils.launching import LAUNCH, NEEDED_BY, TOGETHER, launch_of
from ansible_collections.constellation.core.plugins.module_utils.options import at_least_a_second, require
from ansible_collections.constellation.core.plugins.module_utils.publication import publish
from ansible_collections.constellation.core.plugins.module_utils.told import told

if TYPE_CHECKING:
    from constellation_engine.debian.mirror import Mirrors
    from constellation_engine.node_image.build import ImageRequest
    from constellation_engine.node_image.image_folder import ImageFolder
    from constellation_engine.node_image.launch import LaunchInputs

BUILDING = ("path", "kubernetes", "from_manifest", "repository", "mirror", "cache")


def keep(module: AnsibleModule) -> dict[str, Any]:
    """Build where something differs, and publish."""
    from constellation_engine.node_image.choosing import local_image
    from constellation_engine.node_image.image_folder import ImageFile

    require(module, {"timeout": at_least_a_second})
    launch = launch_of(module)
    if module.params["image"] is not None:
        folder, reasons = image_of(module), list[str]()
    else:
        folder, reasons = _built(module, launch)
    answer: dict[str, Any] = {"changed": bool(reasons), "path": str(folder.path), "reasons": reasons}
    answer["diff"] = [{"before": "".join(f"{one}\n" for one in reasons), "after": ""}]
    there = folder.has(ImageFile.BUILD) and folder.has(ImageFile.DISK)
    if there:
        answer["image"] = image_record(local_image(folder.path))
    if module.params["publish_to"] is not None and there:
        publish(module, folder, launch, answer)
    return answer


def _built(module: AnsibleModule, launch: LaunchInputs | None) -> tuple[ImageFolder, list[str]]:
    """Give the image, and why it was built."""
    from constellation_engine.node_image.build import build
    from constellation_engine.node_image.freshness import reasons_to_build
    from constellation_engine.node_image.image_folder import ImageFolder
    from constellation_engine.node_image.local_images import default_folder

    request = _request(module, launch)
    named = module.params["path"]
    path = Path(named) if named is not None else default_folder() / f"{request.target.variant}-{request.profile}"
    reasons = reasons_to_build(path, request)
    if reasons and not module.check_mode:
        build(path, request, report=lambda _: None, timeout=float(module.params["timeout"]))
    return ImageFolder(path), list(reasons)


def _request(module: AnsibleModule, launch: LaunchInputs | None) -> ImageRequest:
    from constellation_engine.node_image.build import ImageRequest, default_cache
    from constellation_engine.node_image.signing import default_key_path
    from constellation_engine.node_image.targets import Profile, Target
    from constellation_engine.services_image import find_repository

    given = {name: Path(value) if (value := module.params[name]) is not None else None for name in ("key", "cache")}
    repository, manifest = module.params["repository"], module.params["from_manifest"]
    return ImageRequest(
        target=Target.named(module.params["target"]),
        profile=Profile.named(module.params["profile"]),
        kubernetes=module.params["kubernetes"] or "",
        repository=find_repository(Path(repository) if repository is not None else None),
        mirrors=_mirrors(module),
        key=given["key"] or default_key_path(),
        cache=given["cache"] or default_cache(),
        launch=launch,
        from_manifest=Path(manifest) if manifest is not None else None,
        containers=module.params["container_images"],
    )


def _mirrors(module: AnsibleModule) -> Mirrors:
    from constellation_engine.debian.mirror import machine_mirrors
    from constellation_engine.debian.packages import Archive

    if module.params["mirror"] is None:
        return machine_mirrors()
    archives = {Archive.MAIN: "mirror", Archive.SECURITY: "security_mirror"}
    return {archive: module.params[name].rstrip("/") for archive, name in archives.items()}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **LAUNCH,
            **{name: {"type": "path"} for name in ("path", "from_manifest", "repository", "cache")},
            **{name: {"type": "path"} for name in ("publish_to", "public_key", "catalogue")},
            **{name: {"type": "str"} for name in ("image", "kubernetes", "mirror", "security_mirror")},
            "key": {"type": "path", "no_log": False},
            "target": {"type": "str", "default": "qemu-vtpm"},
            "profile": {"type": "str", "choices": ["release", "debug", "emergency-access"], "default": "release"},
            "container_images": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "int", "default": 3600},
        },
        mutually_exclusive=[("image", name) for name in BUILDING],
        required_together=[*TOGETHER, ("mirror", "security_mirror")],
        required_by={**NEEDED_BY, "catalogue": ("publish_to",)},
        supports_check_mode=True,
    )
    with told(module):
        module.exit_json(**keep(module))


if __name__ == "__main__":
    main()
