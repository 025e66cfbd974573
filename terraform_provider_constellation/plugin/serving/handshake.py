# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""How Terraform and a provider find each other.

Terraform starts the program with a cookie, the versions that it speaks and its certificate in the environment. The
program answers with one line on standard output, and with nothing else there, ever:

    1|6|unix|/tmp/…/provider|grpc|<certificate>

version of go-plugin's protocol, of Terraform's, the socket, what is spoken there, the server's certificate in DER and
base64 without padding. Source: go-plugin, docs/internals.md.
"""

from __future__ import annotations

import base64
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from terraform_provider_constellation.plugin.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Mapping

PROTOCOL: Final = 6
COOKIE_NAME: Final = "TF_PLUGIN_MAGIC_COOKIE"
COOKIE: Final = "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2"
"""Not a secret: it tells a start by Terraform from one by hand."""


def claim_stdout() -> TextIO:
    """Keep standard output for the one line; what anybody else prints goes to standard error, which is the log."""
    sys.stdout.flush()
    out = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    return out


@dataclass(frozen=True, slots=True)
class Handshake:
    """What Terraform said, and where the answer goes.

    Attributes:
        out: standard output.
        client_certificate: PEM, the only client that may connect; nothing if Terraform was told to do without TLS.
        socket_folder: where the socket shall be; None for anywhere.
    """

    out: TextIO
    client_certificate: str
    socket_folder: Path | None

    @classmethod
    def read(cls, environment: Mapping[str, str], out: TextIO, *, name: str) -> Handshake:
        """Read the environment.

        Raises:
            StartError: this is no Terraform, or one that does not speak our protocol. That one gets the line that it
                needs to say so itself.
        """
        if environment.get(COOKIE_NAME) != COOKIE:
            hint = "Name it in required_providers of a configuration, and run `terraform init`."
            raise StartError(
                f"{name} is a plugin. Terraform and OpenTofu start it, it does nothing by itself.", hint=hint
            )
        offered = environment.get("PLUGIN_PROTOCOL_VERSIONS", str(PROTOCOL)).split(",")
        if str(PROTOCOL) not in offered:
            print(f"1|{PROTOCOL}|unix||grpc|", file=out, flush=True)
            hint = "Use Terraform 1.0 or newer, or OpenTofu."
            raise StartError(f"{name} speaks protocol {PROTOCOL}, it was offered {', '.join(offered)}.", hint=hint)
        folder = environment.get("PLUGIN_UNIX_SOCKET_DIR")
        return cls(out, environment.get("PLUGIN_CLIENT_CERT", ""), Path(folder) if folder else None)

    def announce(self, socket: str, certificate: bytes) -> None:
        """Write the line.

        Args:
            socket: path of the socket.
            certificate: of the server, DER; nothing without TLS.
        """
        encoded = base64.b64encode(certificate).decode().rstrip("=")
        print(f"1|{PROTOCOL}|unix|{socket}|grpc|{encoded}", file=self.out, flush=True)
