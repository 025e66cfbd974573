# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The whole of a provider's program.

    def make() -> Provider:
        from zoo.provider import Zoo

        return Zoo()

    def main() -> int:
        return serve(make, address="registry.terraform.io/example/zoo")

Terraform starts a provider several times for one plan, and waits. So the program announces itself first, and loads what
it is made of while Terraform connects: this module imports little, and `make` imports the rest.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, Final

from terraform_provider_constellation.plugin.errors import StartError
from terraform_provider_constellation.plugin.serving.certificate import Credentials
from terraform_provider_constellation.plugin.serving.handshake import Handshake, claim_stdout
from terraform_provider_constellation.plugin.serving.imports import one_at_a_time
from terraform_provider_constellation.plugin.serving.listener import listening

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TextIO

    from terraform_provider_constellation.plugin.provider import Provider

DEBUG: Final = "--debug"


def serve(make: Callable[[], Provider[Any]], *, address: str, arguments: Sequence[str] | None = None) -> int:
    """Be a provider until Terraform has no use for it any more.

    With `--debug` it serves whichever Terraform is told to attach to it, from a debugger for example, and says how.

    Args:
        make: makes the provider.
        address: what configurations call it: `registry.terraform.io/NAMESPACE/NAME`.
        arguments: of the command line; those of the process by default.

    Returns:
        What the process shall exit with: 1 if it was not started by Terraform, or by one that it cannot speak with.
    """
    debug = DEBUG in (sys.argv[1:] if arguments is None else arguments)
    out = claim_stdout()
    one_at_a_time()
    try:
        if debug:
            _serve_debug(make, address, out)
        else:
            _serve_terraform(make, address, out)
    except StartError as error:
        print(error, error.hint, sep="\n", file=sys.stderr)  # noqa: T201 - whoever started us by hand reads it
        return 1
    return 0


def _serve_terraform(make: Callable[[], Provider[Any]], address: str, out: TextIO) -> None:
    parent = os.getppid()
    handshake = Handshake.read(os.environ, out, name=f"terraform-provider-{address.rpartition('/')[2]}")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches us too, but only Terraform decides what it means
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    credentials = Credentials.make(handshake.client_certificate) if handshake.client_certificate else None
    with listening(handshake.socket_folder) as endpoint:
        handshake.announce(endpoint.getsockname(), credentials.certificate if credentials else b"")
        gc.disable()  # what is loaded now stays: to look for garbage in it is a fifth of the whole start
        from terraform_provider_constellation.plugin.serving import logs, server  # noqa: PLC0415 - see above

        logs.start(os.environ)
        ours = server.Server(make(), context=credentials.context if credentials else None)
        gc.freeze()
        gc.enable()
        ours.run_as_child(endpoint, parent)
        gc.freeze()  # the interpreter looks once more when it ends, and Terraform waits for that


def _serve_debug(make: Callable[[], Provider[Any]], address: str, out: TextIO) -> None:
    import asyncio  # noqa: PLC0415 - see above

    from terraform_provider_constellation.plugin.serving.server import Server  # noqa: PLC0415 - see above

    with listening() as endpoint:
        server = Server(make())
        how = json.dumps(reattachment(address, endpoint.getsockname()))
        print(f"TF_REATTACH_PROVIDERS='{how}'", file=out, flush=True)
        try:
            asyncio.run(server.run(endpoint))
        except KeyboardInterrupt:
            return


def reattachment(address: str, path: str) -> dict[str, Any]:
    """What TF_REATTACH_PROVIDERS must say, as JSON, for Terraform to use a provider that runs already."""
    endpoint = {"Network": "unix", "String": path}
    return {address: {"Protocol": "grpc", "ProtocolVersion": 6, "Pid": os.getpid(), "Test": True, "Addr": endpoint}}
