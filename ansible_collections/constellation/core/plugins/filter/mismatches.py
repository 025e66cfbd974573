# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every reason why a cluster, or a node, is not accepted."""

from __future__ import annotations

DOCUMENTATION = r"""
name: mismatches
short_description: Every reason why a cluster, or a node, is not accepted
version_added: 0.1.0
author:
  - The Constellation authors (@constellation-kubernetes)
description:
  - Turns a verdict into a list of reasons, one entry each, whichever part of the verdict they are in.
  - A node that did not come to a verdict is a reason too, named V(answer).
  - The list is empty if, and only if, the verdict accepts.
options:
  _input:
    description:
      - The verdict about a cluster, as M(constellation.core.cluster_verify) returns it and C(constellation verify)
        prints it as JSON. The verdict about one node, and about one piece of evidence, will do too.
    type: dict
    required: true
seealso:
  - module: constellation.core.cluster_verify
"""

EXAMPLES = r"""
- name: Tell every reason
  ansible.builtin.debug:
    msg: "{{ item.node }}: {{ item.name }} is {{ item.got }}, not {{ item.expected }}"
  loop: "{{ verification.verdict | constellation.core.mismatches }}"
"""

RETURN = r"""
_value:
  description:
    - Each with C(node), C(name), C(expected), C(got) and C(hint). The node is empty for what is not about one.
  type: list
  elements: dict
"""

from collections.abc import Iterator, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError


def mismatches(verdict: object) -> list[dict[str, str]]:
    """Give every reason."""
    if not isinstance(verdict, Mapping) or "accepted" not in verdict:
        message = "mismatches: Expected a verdict, which has accepted and mismatches."
        raise AnsibleFilterError(message)
    found = list(_reasons(verdict))
    if not found and verdict["accepted"] is not True:
        found.append(_reason("", {"name": "accepted", "expected": "proof of a node", "got": "none"}))
    return found


def _reasons(verdict: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    node = str(verdict.get("node") or verdict.get("host") or "")
    if verdict.get("failure"):
        failure = {"name": "answer", "expected": "a verdict", "got": verdict["failure"], "hint": verdict.get("hint")}
        yield _reason(node, failure)
    for one in verdict.get("mismatches") or ():
        yield _reason(node, one)
    for each in verdict.get("nodes") or ():
        yield from _reasons(each)


def _reason(node: str, one: Mapping[str, Any]) -> dict[str, str]:
    return {"node": node, **{word: str(one.get(word) or "") for word in ("name", "expected", "got", "hint")}}


class FilterModule:
    """The filter, for Ansible."""

    def filters(self) -> dict[str, Any]:
        """Give it by its name."""
        return {"mismatches": mismatches}
