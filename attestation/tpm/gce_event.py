# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What Compute Engine's firmware measures into register 0 about the machine.

An EV_NONHOST_INFO event of 32 bytes: a signature, one byte for the technology, 15 reserved. Source: Google's
verifier, go-tpm-tools.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

from attestation.errors import MalformedError
from attestation.tpm.event_types import EventType

if TYPE_CHECKING:
    from attestation.tpm.algorithms import HashAlgorithm
    from attestation.tpm.event_log import EventLog

SIGNATURE: Final = b"GCE NonHostInfo\0"
EVENT_SIZE: Final = 32


class GceTechnology(Enum):
    """Confidential computing technology of a machine."""

    NONE = 0
    SEV = 1
    SEV_ES = 2
    TDX = 3
    SEV_SNP = 4


def gce_technology(log: EventLog, algorithm: HashAlgorithm) -> GceTechnology | None:
    """Say which technology the firmware measured; None if the log has no such event.

    Ask only after the log replayed to a quoted register 0. Events whose data was not what was measured are ignored:
    anybody can write a technology into the data of a log.

    Args:
        log: the log.
        algorithm: bank of the quote.

    Raises:
        MalformedError: there are two such events, or the technology has no name here.
    """
    events = [
        event.data
        for event in log.events
        if event.register == 0
        and event.type is EventType.EV_NONHOST_INFO
        and len(event.data) == EVENT_SIZE
        and event.data.startswith(SIGNATURE)
        and event.proves_data(algorithm)
    ]
    if not events:
        return None
    if len(events) > 1:
        raise MalformedError(f"event log: {len(events)} events name the technology of the machine")
    number = events[0][len(SIGNATURE)]
    try:
        return GceTechnology(number)
    except ValueError:
        raise MalformedError(f"event log: technology {number} of the machine has no name here") from None
