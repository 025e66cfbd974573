# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Boot event logs in words: every event, and the registers that follow from them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from attestation.errors import MalformedError
from attestation.tpm.algorithms import HashAlgorithm
from attestation.tpm.event_log import parse_event_log
from attestation.tpm.event_types import EventType
from attestation.tpm.replay import replay
from constellation_cli.description.tpm import algorithm_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attestation.tpm.event_log import Event, EventLog

MAX_HEX: Final = 16  # bytes of data that are shown where they are no text
_VARIABLE: Final = struct.Struct("<16sQQ")  # UEFI_VARIABLE_DATA: GUID, characters of the name, bytes of the value
_VARIABLES: Final = frozenset(
    {
        EventType.EV_EFI_VARIABLE_DRIVER_CONFIG,
        EventType.EV_EFI_VARIABLE_BOOT,
        EventType.EV_EFI_VARIABLE_BOOT2,
        EventType.EV_EFI_VARIABLE_AUTHORITY,
    },
)
_PREFERRED: Final = (HashAlgorithm.SHA256, HashAlgorithm.SHA384, HashAlgorithm.SHA512, HashAlgorithm.SHA1)


def describe_event_log(data: bytes) -> dict[str, Any]:
    """Put a log into words. In a CCEL log of TDX register n + 1 is RTMR n."""
    log = parse_event_log(data)
    return {
        "format": str(log.format),
        "banks": [algorithm_name(number) for number in log.algorithms],
        "count": len(log.events),
        "registers": {algorithm_name(number): _replayed(log, number) for number in log.algorithms},
        "events": [_event(number, event) for number, event in enumerate(log.events)],
    }


def _replayed(log: EventLog, number: int) -> dict[str, str] | str:
    try:
        registers = replay(log, HashAlgorithm.of(number, "event log"))
    except MalformedError as error:
        return str(error)
    return {str(index): value.hex() for index, value in sorted(registers.items())}


def _event(number: int, event: Event) -> dict[str, Any]:
    return {
        "number": number,
        "register": event.register,
        "type": event.type_name,
        "digest": _one_digest(event.digests),
        "text": event_text(event),
        "digests": {algorithm_name(algorithm): digest.hex() for algorithm, digest in event.digests.items()},
        "data": event.data.hex(),
    }


def _one_digest(digests: Mapping[int, bytes]) -> str:
    return next((digests[algorithm].hex() for algorithm in _PREFERRED if algorithm in digests), "")


def event_text(event: Event) -> str:
    """Give what an event says, as text; the first bytes where it is none."""
    data = event.data
    if event.type in _VARIABLES and (name := _variable_name(data)):
        return name
    text = _decoded(data)
    if text is not None:
        return text
    return f"{data[:MAX_HEX].hex()}{'…' if len(data) > MAX_HEX else ''}"


def _variable_name(data: bytes) -> str:
    if len(data) < _VARIABLE.size:
        return ""
    guid, characters, _size = _VARIABLE.unpack_from(data)
    name = data[_VARIABLE.size :][: 2 * characters]
    text = _decoded(name) if len(name) == 2 * characters else None
    return f"{text} of {UUID(bytes_le=guid)}" if text else ""


def _decoded(data: bytes) -> str | None:
    """Decode ASCII or UTF-16, as firmware writes them."""
    for encoding in ("ascii", "utf-16-le"):
        try:
            text = data.decode(encoding).rstrip("\0")
        except UnicodeDecodeError:
            continue
        if text.isprintable() and (text or not data):
            return text
    return None
