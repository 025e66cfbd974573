# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The registers of a document."""

from __future__ import annotations

DOCUMENTATION = r"""
name: measurements_of
short_description: The registers of a document
version_added: 0.1.0
author:
  - The Constellation authors (@constellation-kubernetes)
description:
  - Takes the measurements out of what has some, and gives them as a policy writes them.
  - Whether anybody vouches for them is not looked at. M(constellation.core.measurements_info) checks the signature of
    an image.
requirements:
  - constellation-kubernetes[engine] on the controller
options:
  _input:
    description:
      - A policy, the C(measurements.json) of an image, a verdict, or measurements as Terraform has them.
    type: dict
    required: true
seealso:
  - plugin: constellation.core.measurements_merge
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Show what an image measures
  ansible.builtin.debug:
    msg: "{{ lookup('ansible.builtin.file', 'measurements.json') | from_json | constellation.core.measurements_of }}"
"""

RETURN = r"""
_value:
  description: Registers by name, each with C(expected) in hexadecimal and C(enforced).
  type: dict
"""

from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.constellation.core.plugins.plugin_utils.refusing import refusing


def measurements_of(source: object) -> dict[str, Any]:
    """Give the registers of a document."""
    with refusing(AnsibleFilterError, "measurements_of"):
        from constellation_engine.measurements import registers_of, shown

        return shown(registers_of(source))


class FilterModule:
    """The filter, for Ansible."""

    def filters(self) -> dict[str, Any]:
        """Give it by its name."""
        return {"measurements_of": measurements_of}
