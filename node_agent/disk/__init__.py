# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The state disk: all that a node keeps, encrypted and with integrity, LUKS2 over dm-integrity.

| module | what |
|---|---|
| `header`, `mark` | bytes → record |
| `allowed` | what a header may say |
| `luks`, `programs` | headers in memory, and `cryptsetup` |
| `file_system` | ext4 on a disk of which nothing was wiped; mounts |
| `device` | what is on a device, and the one write that makes it a cluster's |
| `state_disk` | all of it together |
"""

from node_agent.disk.state_disk import StateDisk

__all__ = ["StateDisk"]
