#!/usr/bin/python
# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Try a key provider before a cluster depends on it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: key_provider_info
short_description: Try a key provider before a cluster depends on it
version_added: 0.1.0
description:
  - Reads the URI of a key provider, and tries what it names. A key management service makes a key and wraps it, and
    unwraps it again; both are thrown away. What is not allowed there fails the task.
author:
  - The Constellation authors (@constellation-kubernetes)
extends_documentation_fragment:
  - constellation.core.attributes.info
requirements:
  - constellation-kubernetes[aws] on the host that runs the task, for C(awskms)
options:
  uri:
    description:
      - V(cluster://), where keys derive from a master secret, or V(awskms://REGION/KEY) with the id, alias or ARN of a
        key in AWS KMS. Credentials are found as AWS programs find them.
    type: str
    required: true
seealso:
  - module: constellation.core.master_secret
"""

EXAMPLES = r"""
- name: See that a key can be used
  constellation.core.key_provider_info:
    uri: awskms://eu-central-1/alias/constellation
"""

RETURN = r"""
scheme:
  description: The kind of provider.
  type: str
  returned: always
  sample: awskms
has_master_secret:
  description: Whether keys derive from a master secret that the administrator keeps.
  type: bool
  returned: always
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.constellation.core.plugins.module_utils.told import told


def look(module: AnsibleModule) -> dict[str, Any]:
    """Read the URI, and try it."""
    from constellation_core.keys.uri import ProviderUri, Scheme
    from constellation_engine.key_provider import try_provider

    uri = ProviderUri.parse(module.params["uri"])
    try_provider(uri)
    return {"changed": False, "scheme": uri.scheme.value, "has_master_secret": uri.scheme is Scheme.CLUSTER}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={"uri": {"type": "str", "required": True}}, supports_check_mode=True)
    with told(module):
        module.exit_json(**look(module))


if __name__ == "__main__":
    main()
