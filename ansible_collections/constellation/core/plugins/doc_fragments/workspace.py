# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The option `workspace`: which cluster of this host is meant."""

from __future__ import annotations


class ModuleDocFragment:
    """The folder of a local cluster: demanded, or one of two ways to name a cluster."""

    DOCUMENTATION = r"""
options:
  workspace:
    description:
      - Folder of a cluster on the host that runs the task. Its machines, secrets, kubeconfig and log are in it.
      - C(constellation mini), the Terraform provider and this collection see the same cluster there.
    type: path
    required: true
"""

    CHOICE = r"""
options:
  workspace:
    description:
      - Folder of a cluster on the host that runs the task. Its machines, secrets, kubeconfig and log are in it.
      - For a cluster that lives elsewhere give O(kubeconfig) instead.
    type: path
"""
