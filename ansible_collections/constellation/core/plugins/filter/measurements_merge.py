# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Registers of several documents, none of which says otherwise."""

from __future__ import annotations

DOCUMENTATION = r"""
name: measurements_merge
short_description: Registers of several documents, none of which says otherwise
version_added: 0.1.0
author:
  - The Constellation authors (@constellation-kubernetes)
description:
  - Puts measurements together. Unlike P(ansible.builtin.combine#filter) it replaces nothing, because two documents that
    expect different values of the same register describe no machine.
  - A register is enforced if one of the documents enforces it.
requirements:
  - constellation-kubernetes[engine] on the controller
positional: more
options:
  _input:
    description:
      - What P(constellation.core.measurements_of#filter) takes.
    type: dict
    required: true
  more:
    description:
      - More of the same, such as the registers of a firmware.
    type: list
    elements: dict
    required: true
seealso:
  - plugin: constellation.core.measurements_of
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Enforce the firmware of our servers beside the image
  ansible.builtin.set_fact:
    registers: "{{ image.measurements | constellation.core.measurements_merge(firmware) }}"
  vars:
    firmware:
      "0":
        expected: "{{ firmware_register }}"
        enforced: true
"""

RETURN = r"""
_value:
  description: Registers by name, each with C(expected) in hexadecimal and C(enforced).
  type: dict
"""

from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.constellation.core.plugins.plugin_utils.refusing import refusing


def measurements_merge(source: object, *more: object) -> dict[str, Any]:
    """Give the registers of all documents."""
    with refusing(AnsibleFilterError, "measurements_merge"):
        from constellation_engine.measurements import merged, registers_of, shown

        return shown(merged(*map(registers_of, (source, *more))))


class FilterModule:
    """The filter, for Ansible."""

    def filters(self) -> dict[str, Any]:
        """Give it by its name."""
        return {"measurements_merge": measurements_merge}
