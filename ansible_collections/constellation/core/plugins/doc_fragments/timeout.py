# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The option `timeout`: how long a task may wait."""

from __future__ import annotations


class ModuleDocFragment:
    """Seconds, with a default that fits what is waited for."""

    DOCUMENTATION = r"""
options:
  timeout:
    description:
      - Seconds to wait for each answer of the API server.
    type: int
    default: 30
"""

    PHASE = r"""
options:
  timeout:
    description:
      - Seconds that each phase of bringing a cluster up may take. Emulated machines on two cores need 300 for the
        longest.
    type: int
    default: 1800
"""

    NODE = r"""
options:
  timeout:
    description:
      - Seconds that each node may take to prove what it booted.
    type: int
    default: 120
"""

    ALL = r"""
options:
  timeout:
    description:
      - Seconds that all of it may take.
    type: int
    default: 600
"""
