# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A connection to a TPM: runs one command at a time, with its authorisations.

After TPM 2.0 Library, Part 1 "Architecture", 18.
"""

from __future__ import annotations

import struct
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from attestation.reader import Reader
from attestation.tpm.commands import Command, build_command, parse_response
from attestation.tpm.device import RESOURCE_MANAGER, open_device
from attestation.tpm.response_codes import TRY_AGAIN, tpm_error

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self

    from attestation.tpm.commands import Response
    from attestation.tpm.device import Device
    from attestation.tpm.sessions import Authorization

MAX_TRIES: Final = 6
FIRST_PAUSE: Final = 0.02  # seconds before a command is sent again; doubles each time


class Connection:
    """A connection to a TPM. One command runs at a time, whichever thread sends it.

    Args:
        device: the way to it; closed with the client.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._lock = threading.Lock()

    @classmethod
    def open(cls, address: str = RESOURCE_MANAGER) -> Self:
        """Open the TPM at an address, as `open_device` understands it."""
        return cls(open_device(address))

    def __enter__(self) -> Self:
        """Give the client."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the device."""
        self.close()

    def close(self) -> None:
        """Close the device."""
        self._device.close()

    def execute(
        self,
        command: Command,
        *,
        handles: Sequence[int] = (),
        names: Sequence[bytes] = (),
        authorizations: Sequence[Authorization] = (),
        parameters: bytes = b"",
        makes_handle: bool = False,
    ) -> Response:
        """Run a command.

        Args:
            command: which.
            handles: objects that it works on.
            names: their Names; needed where a session with a key authorises.
            authorizations: one for each handle that needs one.
            parameters: marshalled parameters, in clear.
            makes_handle: whether the command returns a handle.

        Raises:
            TpmError: the TPM refused.
            DeviceError: the device failed.
            MalformedError: what came back is not a response.
            NotGenuineError: a session found that the response was changed on its way.
        """
        travelling = parameters
        for authorization in authorizations:
            travelling = authorization.outgoing(travelling)
        names = names or [struct.pack(">I", handle) for handle in handles]
        areas = [authorization.authorize(command, names, travelling) for authorization in authorizations]
        response = self._send(command, build_command(command, handles, areas, travelling), makes_handle=makes_handle)
        reader = Reader(response.authorizations, "TPM response")
        for authorization in authorizations:
            authorization.check(command, response.parameters, reader)
        reader.end()
        clear = response.parameters
        for authorization in authorizations:
            clear = authorization.reveal(clear)
        return replace(response, parameters=clear)

    def _send(self, command: Command, frame: bytes, *, makes_handle: bool) -> Response:
        pause = FIRST_PAUSE
        for _ in range(MAX_TRIES):
            with self._lock:
                response = parse_response(self._device.transact(frame), has_handle=makes_handle)
            if response.code not in TRY_AGAIN:
                break
            time.sleep(pause)
            pause *= 2
        if response.code:
            raise tpm_error(command.label, response.code)
        return response
