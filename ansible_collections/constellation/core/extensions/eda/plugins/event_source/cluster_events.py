# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Events of a cluster for rulebooks."""

from __future__ import annotations

DOCUMENTATION = r"""
---
short_description: Events of a cluster for rulebooks
description:
  - Tells when a machine is refused, when one waits for a person, when a node proves something else than it must, and
    when the API server does not answer any more. Each is told once.
  - An event has C(kind) (V(join_refused), V(join_config_refused), V(node_pending), V(measurement_drift) or
    V(unreachable)), C(at), C(message) and C(node). A node that waits has C(role), C(variant) and C(identity) as well,
    one that drifts has C(mismatches).
  - An event says what the cluster says. Whoever decides about a node looks at the node first.
options:
  workspace:
    description: Folder of a cluster of this machine. Exactly one of O(workspace) and O(kubeconfig) is needed.
    type: str
  kubeconfig:
    description: Kubeconfig of an administrator, for a cluster that lives elsewhere.
    type: str
  delay:
    description: Seconds between two looks at the API server.
    type: int
    default: 10
  verify_every:
    description: Seconds between two verifications of all nodes. 0 is never. It needs O(workspace), or O(policy).
    type: int
    default: 300
  policy:
    description: File of the policy that nodes must satisfy. The default is what the image in O(workspace) says.
    type: str
"""

EXAMPLES = r"""
- constellation.core.cluster_events:
    workspace: /home/user/clusters/mini
    verify_every: 600
"""

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from constellation_engine.cluster.happenings import Happening, Watch
    from constellation_engine.cluster.question import Question

DEFAULTS: dict[str, Any] = {"workspace": None, "kubeconfig": None, "policy": None, "delay": 10, "verify_every": 300}


async def main(queue: asyncio.Queue[Any], args: dict[str, Any]) -> None:
    """Put events into a queue until somebody cancels it.

    Raises:
        ValueError: an option is wrong; says which.
    """
    from constellation_engine.cluster.happenings import Watch

    options = checked(args)
    watch = Watch(since=datetime.now(UTC))
    verify_at = 0.0 if options["verify_every"] else float("inf")
    while True:
        for event in await asyncio.to_thread(_look, options, watch):
            await queue.put(event.to_mapping())
        if time.monotonic() >= verify_at:
            verify_at = time.monotonic() + options["verify_every"]
            for event in await _verify(options, watch):
                await queue.put(event.to_mapping())
        await asyncio.sleep(options["delay"])


def checked(args: dict[str, Any]) -> dict[str, Any]:
    """Give all options.

    Raises:
        ValueError: one is unknown, missing or wrong.
    """
    if unknown := [name for name in args if name not in DEFAULTS]:
        message = f"Option {unknown[0]}: expected one of {', '.join(DEFAULTS)}."
        raise ValueError(message)
    options = {**DEFAULTS, **args}
    for name, least in (("delay", 1), ("verify_every", 0)):
        if not isinstance(options[name], int) or isinstance(options[name], bool) or options[name] < least:
            message = f"Option {name}: expected a whole number of seconds, at least {least}."
            raise ValueError(message)
    if (options["workspace"] is None) == (options["kubeconfig"] is None):
        message = "Options workspace and kubeconfig: expected exactly one of them."
        raise ValueError(message)
    if options["workspace"] is None and options["policy"] is None and options["verify_every"]:
        message = "Option policy: expected the file of a policy, or verify_every: 0. Only a workspace has an image."
        raise ValueError(message)
    return options


def _look(options: dict[str, Any], watch: Watch) -> list[Happening]:
    """Ask the API server."""
    from constellation_core.errors import CoreError
    from constellation_engine.cluster.client import api_client
    from constellation_engine.cluster.status_reading import read_status
    from constellation_engine.errors import EngineError

    now = datetime.now(UTC)
    try:
        with api_client(_kubeconfig(options)) as client:
            return list(watch.compare(read_status(client, now)))
    except (CoreError, EngineError) as error:
        return list(watch.miss(str(error), now))


async def _verify(options: dict[str, Any], watch: Watch) -> Iterable[Happening]:
    """Ask the nodes."""
    question = await asyncio.to_thread(_question, options)
    return watch.judge(await question.ask())


def _question(options: dict[str, Any]) -> Question:
    from attestation.policy import Policy
    from constellation_engine.cluster.question import question_of_api
    from constellation_engine.local_cluster import Workspace
    from constellation_engine.local_cluster.verification import question_of

    policies = [Policy.from_json(Path(options["policy"]).read_bytes())] if options["policy"] is not None else []
    if options["workspace"] is not None:
        return question_of(Workspace.open(Path(options["workspace"]).expanduser()), policies)
    return question_of_api(_kubeconfig(options), policies)


def _kubeconfig(options: dict[str, Any]) -> Path:
    from constellation_engine.local_cluster import Workspace
    from constellation_engine.local_cluster.way_to_api import keep_way_to_api

    if options["kubeconfig"] is not None:
        return Path(options["kubeconfig"]).expanduser()
    workspace = Workspace.open(Path(options["workspace"]).expanduser())
    keep_way_to_api(workspace)
    return workspace.kubeconfig
