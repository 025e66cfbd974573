# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options `firmware`, `cpus` and `cpu_models`: what a launch digest depends on besides the image."""

from __future__ import annotations


class ModuleDocFragment:
    """For targets whose firmware is handed a kernel."""

    DOCUMENTATION = r"""
options:
  firmware:
    description:
      - Images for V(qemu-snp) only. The build of OVMF that looks at what is booted (OvmfPkg/AmdSev). Default is the one
        of the host that runs the task.
    type: path
  cpus:
    description:
      - Images for V(qemu-snp) only. How many virtual processors machines may have, each number has launch digests of
        its own.
    type: list
    elements: int
  cpu_models:
    description:
      - Images for V(qemu-snp) only. Of which models they may be.
    type: list
    elements: str
    choices:
      - EPYC-v4
      - EPYC-Rome
      - EPYC-Milan
      - EPYC-Genoa
      - EPYC-Turin
"""
