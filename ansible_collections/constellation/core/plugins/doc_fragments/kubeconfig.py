# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The option `kubeconfig`: which cluster is meant, where it is none of this host."""

from __future__ import annotations


class ModuleDocFragment:
    """How a cluster that lives elsewhere is reached; goes together with `constellation.core.workspace.choice`."""

    DOCUMENTATION = r"""
options:
  kubeconfig:
    description:
      - Kubeconfig of an administrator, for a cluster that has no O(workspace) on the host that runs the task.
      - Its current context counts.
    type: path
"""
