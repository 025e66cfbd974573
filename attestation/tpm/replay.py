# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""From a boot log to the registers that it explains.

A log is only a claim. Equal to quoted registers, its digests are proved; its data is proved only where
`Event.proves_data` says so. After "TCG PC Client Platform Firmware Profile" 1.06, 10.4.5.3 (startup locality).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attestation.errors import MalformedError
from attestation.tpm.event_types import EventType

if TYPE_CHECKING:
    from attestation.tpm.algorithms import HashAlgorithm
    from attestation.tpm.event_log import Event, EventLog

STARTUP_LOCALITY: Final = b"StartupLocality\0"
LOCALITIES: Final = frozenset({0, 3, 4})
DYNAMIC_REGISTERS: Final = range(17, 23)  # of the dynamic launch; all ones until one happens


def replay(log: EventLog, algorithm: HashAlgorithm) -> dict[int, bytes]:
    """Compute the registers of one bank.

    Args:
        log: the log.
        algorithm: the bank.

    Returns:
        Register → value, for every register that the log extends or whose start it names.

    Raises:
        MalformedError: the log has no digests for this bank, or not in every event.
    """
    if algorithm not in log.algorithms:
        raise MalformedError(f"event log has no {algorithm.label} digests")
    registers: dict[int, bytes] = {}
    for event in log.events:
        if not event.extends:
            if event.register == 0 and 0 not in registers and event.data.startswith(STARTUP_LOCALITY):
                registers[0] = _start_of_register_0(event, algorithm)
            continue
        if algorithm not in event.digests:
            raise MalformedError(f"event log: an event of register {event.register} has no {algorithm.label} digest")
        before = registers.get(event.register)
        if before is None:
            before = (b"\xff" if event.register in DYNAMIC_REGISTERS else b"\0") * algorithm.size
        registers[event.register] = algorithm.digest(before + event.digests[algorithm])
    return registers


def _start_of_register_0(event: Event, algorithm: HashAlgorithm) -> bytes:
    locality = event.data[len(STARTUP_LOCALITY) :]
    if len(locality) != 1 or locality[0] not in LOCALITIES:
        raise MalformedError(f"event log: startup locality is {locality.hex() or 'missing'}, expected 0, 3 or 4")
    return locality.rjust(algorithm.size, b"\0")


def unproved_events(log: EventLog, algorithm: HashAlgorithm) -> tuple[int, ...]:
    """List the events whose data should hash to their digest and does not, as indexes into `log.events`.

    Some boot loaders measure less than they write into such an event, so this is a warning and no proof of forgery.
    """
    return tuple(
        index
        for index, event in enumerate(log.events)
        if isinstance(event.type, EventType) and event.type.measures_its_data and not event.proves_data(algorithm)
    )
