# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options `images` and `policies`: by what nodes are judged."""

from __future__ import annotations


class ModuleDocFragment:
    """One of all that is named is enough for a node."""

    DOCUMENTATION = r"""
options:
  images:
    description:
      - Node images that nodes may boot, one of several - each a folder, or the name of an image of the host that runs
        the task. Their signatures are verified.
      - Where neither O(images) nor O(policies) is given, the image of O(workspace) counts.
    type: list
    elements: str
  policies:
    description:
      - Files with policies, JSON or YAML, one of which is enough.
    type: list
    elements: path
"""
