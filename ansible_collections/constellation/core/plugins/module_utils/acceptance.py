# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""By what nodes are judged: images that they may boot, and whole policies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ansible_collections.constellation.core.plugins.module_utils.options import refuse

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

    from attestation.policy import Policy

ACCEPTABLE: dict[str, Any] = {
    "images": {"type": "list", "elements": "str"},
    "policies": {"type": "list", "elements": "path"},
}
"""As `constellation.core.acceptable` does."""


def policies_of(module: AnsibleModule) -> list[Policy]:
    """Give what is acceptable by `images` and `policies`; nothing where neither is given.

    A policy that cannot be used ends the module.

    Raises:
        UnknownImageError: there is no such image.
        NotGenuineError: the signature of an image does not hold.
    """
    from constellation_engine.node_image.choosing import named_image

    folders = [named_image(name).folder for name in module.params["images"] or ()]
    of_images = [folder.policy() for folder in folders if folder is not None]
    return of_images + read_policies(module)


def read_policies(module: AnsibleModule) -> list[Policy]:
    """Give what the files of `policies` say. One that cannot be used ends the module."""
    return [_policy(module, Path(file)) for file in module.params["policies"] or ()]


def _policy(module: AnsibleModule, file: Path) -> Policy:
    """Read a policy, JSON or YAML: YAML takes both."""
    from attestation.errors import MalformedError, PolicyError
    from attestation.policy import MAX_SIZE, Policy
    from constellation_core.strict_yaml import load_yaml

    try:
        return Policy.from_mapping(cast("Any", load_yaml(file.read_text(encoding="utf-8"), max_size=MAX_SIZE)))
    except (OSError, UnicodeDecodeError) as error:
        refuse(module, "policies", f"files that can be read ({error})", str(file))
    except (MalformedError, PolicyError) as error:
        refuse(module, "policies", f"policies, JSON or YAML ({error})", str(file))
