# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Waiting until a program of the control plane answers `/readyz` with 200."""

from __future__ import annotations

import http.client
import ssl
from functools import partial
from typing import TYPE_CHECKING, Final

from constellation_core.conditions import Condition, wait_for
from constellation_core.errors import ConditionTimeoutError

if TYPE_CHECKING:
    from pathlib import Path

    from constellation_engine.testing.programs import RunningProgram

START_TIMEOUT: Final = 60.0  # seconds; 4 are usual
ANSWER_TIMEOUT: Final = 5.0  # seconds
LAST_WORDS: Final = 300  # characters of an answer: the end says what is not ready


def client_tls(authority: Path, identity: Path) -> ssl.SSLContext:
    """Prepare a connection.

    Args:
        authority: certificate of the authority that certified the server.
        identity: certificate and key of the client, without their ending.
    """
    context = ssl.create_default_context(cafile=authority)
    context.load_cert_chain(f"{identity}.crt", f"{identity}.key")
    return context


def wait_until_ready(program: RunningProgram, port: int, tls: ssl.SSLContext) -> None:
    """Wait until a program is ready.

    Raises:
        ControlPlaneError: it ended, or the time is over; with the end of its log.
    """
    ready = Condition(f"{program.name} is ready", partial(_what_is_missing, program, port, tls), (OSError,))
    try:
        wait_for([ready], timeout=START_TIMEOUT)
    except ConditionTimeoutError as error:
        raise program.error(str(error)) from None


def _what_is_missing(program: RunningProgram, port: int, tls: ssl.SSLContext) -> str | None:
    program.check_alive()
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=ANSWER_TIMEOUT, context=tls)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        body = response.read().decode("utf-8", errors="replace")
    finally:
        connection.close()
    return None if response.status == http.HTTPStatus.OK else f"{response.status} {body.strip()[-LAST_WORDS:]}"
