# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The policy that accepts an image."""

from __future__ import annotations

DOCUMENTATION = r"""
name: to_policy
short_description: The policy that accepts an image
version_added: 0.1.0
author:
  - The Constellation authors (@constellation-kubernetes)
description:
  - Makes a policy of what an image measures, and of what the image cannot say.
  - Refuses what would be a partial policy, and what says the same twice.
  - Whether anybody vouches for the image is not looked at. M(constellation.core.measurements_info) checks that.
requirements:
  - constellation-kubernetes[engine] on the controller
positional: rest
options:
  _input:
    description:
      - The C(measurements.json) of an image.
    type: dict
    required: true
  rest:
    description:
      - What else the policy says, such as C(minimum_tcb), C(revocation_lists), or registers of the firmware.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Write the policy of an image
  ansible.builtin.copy:
    dest: policy.json
    content: "{{ measurements | constellation.core.to_policy(rest) | to_nice_json }}"
    mode: "0644"
  vars:
    measurements: "{{ lookup('ansible.builtin.file', 'measurements.json') | from_json }}"
    rest:
      require_event_log: true
"""

RETURN = r"""
_value:
  description: The policy, as C(constellation verify) and M(constellation.core.cluster_verify) read it.
  type: dict
"""

import json
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.constellation.core.plugins.plugin_utils.refusing import refusing


def to_policy(manifest: dict[str, Any], rest: dict[str, Any] | None = None) -> dict[str, Any]:
    """Give the policy."""
    with refusing(AnsibleFilterError, "to_policy"):
        from constellation_core.image_manifest import ImageManifest

        return ImageManifest.from_document(json.dumps(manifest).encode()).policy(rest or {}).to_mapping()


class FilterModule:
    """The filter, for Ansible."""

    def filters(self) -> dict[str, Any]:
        """Give it by its name."""
        return {"to_policy": to_policy}
