# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The frames of the attested channel: a length of four bytes, big endian, then one protobuf message.

No IO here. The two sides speak in turns, so at any time at most one frame is on its way: `FrameReader` holds one frame,
and bytes that come when it is not the peer's turn are refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from google.protobuf.message import DecodeError

from constellation_core.errors import InsecureConnectionError

if TYPE_CHECKING:
    from google.protobuf.message import Message

MAX_FRAME: Final = 1024 * 1024  # bytes of the message
_HEADER_SIZE: Final = 4

_Message = TypeVar("_Message", bound="Message")


def encode_frame(message: Message) -> bytes:
    """Give the bytes of one frame.

    Raises:
        InsecureConnectionError: the message is too long.
    """
    body = message.SerializeToString()
    if len(body) > MAX_FRAME:
        raise InsecureConnectionError(f"a frame has at most {MAX_FRAME} bytes, ours would have {len(body)}")
    return len(body).to_bytes(_HEADER_SIZE, "big") + body


def decode_message(body: bytes, kind: type[_Message]) -> _Message:
    """Parse the message of a frame.

    Raises:
        InsecureConnectionError: the bytes are no such message.
    """
    message = kind()
    try:
        message.ParseFromString(body)
    except DecodeError:
        raise InsecureConnectionError(f"expected a {kind.__name__}, got {len(body)} bytes that are none") from None
    return message


class FrameReader:
    """Puts one frame together.

    Args:
        last: whether this is the last frame, after which the peer goes on with HTTP/2.
    """

    def __init__(self, *, last: bool = False) -> None:
        self._buffer = bytearray()
        self._last = last

    def feed(self, data: bytes) -> bytes | None:
        """Take bytes as they came; give the message when it is whole.

        Raises:
            InsecureConnectionError: the frame says that it is too long, or bytes follow that nobody asked for.
        """
        self._buffer += data
        if len(self._buffer) < _HEADER_SIZE:
            return None
        length = int.from_bytes(self._buffer[:_HEADER_SIZE], "big")
        if length > MAX_FRAME:
            raise InsecureConnectionError(f"a frame has at most {MAX_FRAME} bytes, the peer announces {length}")
        end = _HEADER_SIZE + length
        if len(self._buffer) > end and not self._last:
            raise too_early()
        return bytes(self._buffer[_HEADER_SIZE:end]) if len(self._buffer) >= end else None

    def rest(self, message: bytes) -> bytes:
        """Give what came after the last frame."""
        return bytes(self._buffer[_HEADER_SIZE + len(message) :])


def too_early() -> InsecureConnectionError:
    """Make the error for bytes that come when it is not the peer's turn."""
    return InsecureConnectionError("the peer sent bytes when it was not its turn")
