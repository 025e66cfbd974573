#!/usr/bin/python
# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Let one person after the other log in to nodes, by certificates of the cluster's SSH authority."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ssh_authority
short_description: Certify people who may log in to nodes in an emergency
version_added: 0.1.0
description:
  - The SSH authority of a cluster derives from its master secret. Nodes whose image has the profile
    V(emergency-access) let in who has a certificate of it, and prove by one who they are. Other images have no SSH
    server.
  - Keeps the public key of the authority in a file, and a certificate for the public key of a person. A certificate is
    made anew when a quarter of its time is left, or when it is for something else.
  - Nothing revokes a certificate, so let it end soon. The authority itself lasts as long as the master secret.
author:
  - The Constellation authors (@constellation-kubernetes)
extends_documentation_fragment:
  - constellation.core.attributes
options:
  master_secret:
    description:
      - File of the master secret.
    type: path
    required: true
  path:
    description:
      - File for the public key of the authority, one line. With C(@cert-authority *) before it, it belongs into the
        file C(known_hosts).
    type: path
  user_key:
    description:
      - File with the public key of a person, Ed25519 or ECDSA, one line. Keys that lie in a token (C(sk-)) are refused.
    type: path
  certificate:
    description:
      - File for the certificate. Where it is not given, it is the one that OpenSSH finds by itself, as
        C(id_ed25519-cert.pub) beside C(id_ed25519.pub).
    type: path
  name:
    description:
      - Name of the person. Nodes write it down at every login.
    type: str
  logins:
    description:
      - Users of the nodes as whom they may log in.
    type: list
    elements: str
    default:
      - root
  hours:
    description:
      - How long a certificate lasts, 1 to 744 hours.
    type: int
    default: 24
seealso:
  - module: constellation.core.master_secret
"""

EXAMPLES = r"""
- name: Know the nodes of a cluster
  constellation.core.ssh_authority:
    master_secret: ~/clusters/mini/master-secret.json
    path: ~/clusters/mini/ssh-authority.pub

- name: Let Ada look at what broke
  constellation.core.ssh_authority:
    master_secret: ~/clusters/mini/master-secret.json
    user_key: ~/.ssh/id_ed25519.pub
    name: ada
    hours: 8
"""

RETURN = r"""
public_key:
  description: Public key of the authority, one OpenSSH line.
  type: str
  returned: always
  sample: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH constellation
certificate:
  description: File of the certificate.
  type: str
  returned: when O(user_key) is given
  sample: /home/ada/.ssh/id_ed25519-cert.pub
valid_until:
  description: When the certificate ends (RFC 3339, UTC). In check mode, when a new one would end.
  type: str
  returned: when O(user_key) is given
  sample: "2026-11-23T12:00:00+00:00"
reason:
  description: Why the certificate was made; empty where the one that was there serves.
  type: str
  returned: when O(user_key) is given
  sample: it ends soon
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.constellation.core.plugins.module_utils.kept_file import KeptFile, read_line
from ansible_collections.constellation.core.plugins.module_utils.options import refuse
from ansible_collections.constellation.core.plugins.module_utils.told import told

if TYPE_CHECKING:
    from constellation_core.ssh_authority import SshAuthority
    from constellation_engine.ssh_access import Access

HOURS = range(1, 745)


def work(module: AnsibleModule) -> dict[str, Any]:
    """Keep both files."""
    from constellation_core.keys.master_secret import MasterSecret
    from constellation_engine.ssh_access import authority_of

    authority = authority_of(MasterSecret.load(Path(module.params["master_secret"])))
    answer: dict[str, Any] = {"changed": False, "public_key": authority.public_key, "diff": []}
    if module.params["path"] is not None:
        KeptFile(Path(module.params["path"]), f"{authority.public_key}\n").keep(module, answer)
    if module.params["user_key"] is not None:
        _certify(module, answer, authority)
    return answer


def _certify(module: AnsibleModule, answer: dict[str, Any], authority: SshAuthority) -> None:
    from constellation_engine.ssh_access import certify, reason_to_renew, valid_until

    access, place, now = _access(module), _place(module), datetime.now(UTC)
    there = read_line(place)
    reason = reason_to_renew(there, authority, access, at=now)
    line = certify(authority, access, at=now) if reason else there
    if reason:
        KeptFile(place, f"{line}\n").keep(module, answer)
    end = valid_until(line)
    answer |= {"certificate": str(place), "reason": reason, "valid_until": end.isoformat() if end else ""}


def _access(module: AnsibleModule) -> Access:
    from constellation_engine.ssh_access import Access

    if module.params["hours"] not in HOURS:
        refuse(module, "hours", f"{HOURS[0]} to {HOURS[-1]}", module.params["hours"])
    key = read_line(Path(module.params["user_key"]))
    if not key:
        refuse(module, "user_key", "a file with one line, a public key of OpenSSH", module.params["user_key"])
    lifetime = timedelta(hours=module.params["hours"])
    return Access(user_key=key, name=module.params["name"], logins=tuple(module.params["logins"]), lifetime=lifetime)


def _place(module: AnsibleModule) -> Path:
    if module.params["certificate"] is not None:
        return Path(module.params["certificate"])
    key = Path(module.params["user_key"])
    return key.with_name(f"{key.name.removesuffix('.pub')}-cert.pub")


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "master_secret": {"type": "path", "required": True, "no_log": False},
            "path": {"type": "path"},
            "user_key": {"type": "path", "no_log": False},
            "certificate": {"type": "path"},
            "name": {"type": "str"},
            "logins": {"type": "list", "elements": "str", "default": ["root"]},
            "hours": {"type": "int", "default": 24},
        },
        required_together=[("user_key", "name")],
        required_by={"certificate": ("user_key",)},
        supports_check_mode=True,
    )
    with told(module):
        module.exit_json(**work(module))


if __name__ == "__main__":
    main()
