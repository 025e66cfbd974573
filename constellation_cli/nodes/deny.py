# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation nodes deny`: keep a machine out that waits."""

from __future__ import annotations

from typing import Final

from constellation_cli.api_server import DEFAULT_TIMEOUT, Kubeconfig, Timeout
from constellation_cli.nodes.consent import Consent, Yes
from constellation_cli.nodes.words import Identity, NodeName
from constellation_cli.output import Output, OutputFormat

EXAMPLES: Final = (
    "constellation nodes deny control-plane-2",
    "constellation nodes deny control-plane-2 --identity 3f0c5a9e81d2b764",
)


def deny_node(
    name: NodeName,
    identity: Identity = None,
    yes: Yes = False,
    kubeconfig: Kubeconfig = None,
    timeout: Timeout = DEFAULT_TIMEOUT,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Keep a machine out that waits for approval.

    Shows who asks, and asks you, as approve does. The request stays, and with it the name; `constellation nodes
    forget` makes it free. Who was let in already cannot be denied.
    """
    from constellation_cli.api_server import api_server
    from constellation_cli.nodes.decision import decide
    from constellation_engine.cluster.nodes import Decision

    with api_server(kubeconfig, timeout) as server:
        consent = Consent(identity, yes)
        decide(server, name, Decision.DENIED, question=f"keep {name} out", consent=consent, output=output)
