# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every module says of itself: check mode, diff mode, and what a second run does."""

from __future__ import annotations


class ModuleDocFragment:
    """Attributes, and what all modules need."""

    DOCUMENTATION = r"""
options: {}
requirements:
  - constellation-kubernetes[engine] on the host that runs the task
attributes:
  check_mode:
    description: Says what it would do, and does nothing.
    support: full
  diff_mode:
    description: Shows what changes, in diff mode.
    support: full
  idempotent:
    description: Changes nothing when it is run again.
    support: full
  action_group:
    description: Use C(group/constellation.core.all) in C(module_defaults) to set options of all modules.
    support: full
    membership:
      - constellation.core.all
"""

    INFO = r"""
options: {}
requirements:
  - constellation-kubernetes[engine] on the host that runs the task
attributes:
  check_mode:
    description: Only looks, and changes nothing.
    support: full
  diff_mode:
    description: Shows what changes, in diff mode.
    support: N/A
    details: It changes nothing.
  idempotent:
    description: Changes nothing when it is run again.
    support: full
  action_group:
    description: Use C(group/constellation.core.all) in C(module_defaults) to set options of all modules.
    support: full
    membership:
      - constellation.core.all
"""

    # Of a module that runs where nothing was installed.
    BARE_INFO = r"""
options: {}
requirements:
  - Python 3.9 or newer on the host that runs the task, and no library
attributes:
  check_mode:
    description: Only looks, and changes nothing.
    support: full
  diff_mode:
    description: Shows what changes, in diff mode.
    support: N/A
    details: It changes nothing.
  idempotent:
    description: Changes nothing when it is run again.
    support: full
  action_group:
    description: Use C(group/constellation.core.all) in C(module_defaults) to set options of all modules.
    support: full
    membership:
      - constellation.core.all
"""
