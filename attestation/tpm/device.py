# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Ways to a TPM: a character device, or a socket of swtpm. Commands and responses travel as bytes.

A response is framed by its own header (TPM 2.0 Library, Part 1 "Architecture", 18): tag, size, code. After a failure
a device is closed: a response that comes late must never pass for the response to the next command.
"""

from __future__ import annotations

import os
import select
import socket
from typing import TYPE_CHECKING, Final, Protocol

from attestation.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Callable

RESOURCE_MANAGER: Final = "/dev/tpmrm0"
MAX_RESPONSE: Final = 4096  # the greatest buffer of any TPM, of Linux and of swtpm
HEADER_SIZE: Final = 10
TIMEOUT: Final = 90.0  # seconds; a hardware TPM may search a minute for the primes of an RSA key


class Device(Protocol):
    """Something that carries one command to a TPM and its response back."""

    def transact(self, command: bytes) -> bytes:
        """Send a command and wait for the whole response.

        Raises:
            DeviceError: the device fails, closes, or does not answer in time.
        """

    def close(self) -> None:
        """Let go of the device."""


class CharacterDevice:
    """A TPM of the kernel.

    Args:
        path: the device; with the kernel's resource manager (`/dev/tpmrm0`) processes do not take each other's slots.
        timeout: seconds to wait for a response.

    Raises:
        DeviceError: there is none, or we may not use it.
    """

    def __init__(self, path: str = RESOURCE_MANAGER, *, timeout: float = TIMEOUT) -> None:
        self._path = path
        self._timeout = timeout
        try:
            self._file = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            raise DeviceError(f"no TPM at {path}", hint="does this machine have a TPM, and its driver?") from None
        except OSError as error:
            hint = "run as root or as a member of group tss"
            raise DeviceError(f"cannot use the TPM at {path}: {error.strerror}", hint=hint) from None

    def transact(self, command: bytes) -> bytes:
        """Send a command and wait for the response, which the driver hands over whole."""
        try:
            os.write(self._file, command)
            poll = select.poll()
            poll.register(self._file, select.POLLIN)
            if not poll.poll(self._timeout * 1000):
                self.close()
                raise DeviceError(f"the TPM at {self._path} did not answer within {self._timeout:g} s")
            return os.read(self._file, MAX_RESPONSE)
        except OSError as error:
            self.close()
            raise DeviceError(f"the TPM at {self._path} failed: {error.strerror}") from None

    def close(self) -> None:
        """Close the device."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


class SocketDevice:
    """A TPM behind a stream socket, as swtpm offers it; `over_tcp` and `over_unix` connect one.

    Args:
        connection: a connected socket with a timeout.
        peer: how people call it.
    """

    def __init__(self, connection: socket.socket, peer: str) -> None:
        self._connection = connection
        self._peer = peer

    @classmethod
    def over_tcp(cls, host: str, port: int, *, timeout: float = TIMEOUT) -> SocketDevice:
        """Connect to the data port of swtpm.

        Raises:
            DeviceError: nobody listens there.
        """

        def connect() -> socket.socket:
            connection = socket.create_connection((host, port), timeout)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection

        return cls(_connected(connect, f"{host}:{port}"), f"{host}:{port}")

    @classmethod
    def over_unix(cls, path: str, *, timeout: float = TIMEOUT) -> SocketDevice:
        """Connect to the data socket of swtpm.

        Raises:
            DeviceError: nobody listens there.
        """

        def connect() -> socket.socket:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.settimeout(timeout)
                connection.connect(path)
            except OSError:
                connection.close()
                raise
            return connection

        return cls(_connected(connect, path), path)

    def transact(self, command: bytes) -> bytes:
        """Send a command and read the response to its end."""
        try:
            self._connection.sendall(command)
            header = self._read(HEADER_SIZE)
            size = int.from_bytes(header[2:6], "big")
            if not HEADER_SIZE <= size <= MAX_RESPONSE:
                self.close()
                raise DeviceError(f"what listens at {self._peer} does not answer like a TPM")
            return header + self._read(size - HEADER_SIZE)
        except OSError as error:
            self.close()
            raise DeviceError(f"the TPM at {self._peer} failed: {error}", hint="does swtpm still run?") from None

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _read(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            chunk = self._connection.recv(count - len(data))
            if not chunk:
                raise ConnectionError("connection closed in the middle of a response")
            data += chunk
        return bytes(data)


def _connected(connect: Callable[[], socket.socket], peer: str) -> socket.socket:
    try:
        return connect()
    except (OSError, OverflowError, ValueError) as error:
        raise DeviceError(f"cannot reach a TPM at {peer}: {error}", hint="does swtpm run there?") from None


def open_device(address: str = RESOURCE_MANAGER, *, timeout: float = TIMEOUT) -> Device:
    """Open a TPM by its address.

    Args:
        address: a path ("/dev/tpmrm0"), "tcp://127.0.0.1:2321", "unix:///run/swtpm.sock", or "tss:" and a TCTI of the
            TPM2 Software Stack ("tss:tabrmd", needs the extra [agent-tss]).
        timeout: seconds to wait for each response.

    Raises:
        DeviceError: the address is none of these, or the device cannot be used.
        MissingExtraError: a "tss:" address without the extra.
    """
    scheme, separator, rest = address.partition(":")
    if not separator:
        return CharacterDevice(address, timeout=timeout)
    if scheme == "tss":
        from attestation.tpm.pytss import TssDevice  # noqa: PLC0415 - needs an extra

        return TssDevice(rest)
    if scheme == "unix":
        return SocketDevice.over_unix(rest.removeprefix("//"), timeout=timeout)
    host, _, port = rest.removeprefix("//").rpartition(":")
    if scheme == "tcp" and host and port.isascii() and port.isdigit():
        return SocketDevice.over_tcp(host.strip("[]"), int(port), timeout=timeout)
    raise DeviceError(
        f"{address!r} is not the address of a TPM",
        hint="a path such as /dev/tpmrm0, tcp://HOST:PORT, unix:///PATH, or tss:TCTI",
    )
