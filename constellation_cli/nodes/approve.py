# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation nodes approve`: let a machine in that waits."""

from __future__ import annotations

from typing import Final

from constellation_cli.api_server import DEFAULT_TIMEOUT, Kubeconfig, Timeout
from constellation_cli.nodes.consent import Consent, Yes
from constellation_cli.nodes.words import Identity, NodeName
from constellation_cli.output import Output, OutputFormat

EXAMPLES: Final = (
    "constellation nodes approve control-plane-2",
    "constellation nodes approve control-plane-2 --identity 3f0c5a9e81d2b764",
)


def approve_node(
    name: NodeName,
    identity: Identity = None,
    yes: Yes = False,
    kubeconfig: Kubeconfig = None,
    timeout: Timeout = DEFAULT_TIMEOUT,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Let a machine join that waits for approval.

    Shows who asks, and asks you, unless --identity says which machine you mean. If the request changes while you look
    at it, nothing is written. The machine asks again by itself, and is let in then.

    A control plane gets the keys of the cluster. Whoever was denied may be approved later.
    """
    from constellation_cli.api_server import api_server
    from constellation_cli.nodes.decision import decide
    from constellation_engine.cluster.nodes import Decision

    with api_server(kubeconfig, timeout) as server:
        consent = Consent(identity, yes)
        decide(server, name, Decision.APPROVED, question=f"let {name} join", consent=consent, output=output)
