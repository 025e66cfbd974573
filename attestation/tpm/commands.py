# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Commands and responses of TPM 2.0 as bytes.

After TPM 2.0 Library, Part 1 "Architecture", 18, and the command codes of Part 2 "Structures", 6.5.2.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from attestation.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Sequence

ST_NO_SESSIONS: Final = 0x8001
ST_SESSIONS: Final = 0x8002
_ABBREVIATIONS: Final = ("NV", "PCR")
_HEADER: Final = struct.Struct(">HII")


class Command(IntEnum):
    """The commands that are used here (TPM_CC)."""

    EVICT_CONTROL = 0x120
    NV_UNDEFINE_SPACE = 0x122
    CREATE_PRIMARY = 0x131
    NV_DEFINE_SPACE = 0x12A
    NV_WRITE = 0x137
    PCR_EVENT = 0x13C
    ACTIVATE_CREDENTIAL = 0x147
    NV_READ = 0x14E
    POLICY_SECRET = 0x151
    CREATE = 0x153
    LOAD = 0x157
    QUOTE = 0x158
    UNSEAL = 0x15E
    FLUSH_CONTEXT = 0x165
    NV_READ_PUBLIC = 0x169
    READ_PUBLIC = 0x173
    START_AUTH_SESSION = 0x176
    GET_CAPABILITY = 0x17A
    GET_RANDOM = 0x17B
    PCR_READ = 0x17E
    POLICY_PCR = 0x17F
    PCR_EXTEND = 0x182

    @property
    def label(self) -> str:
        """Name as Part 3 spells it ("TPM2_NV_Read")."""
        words = (word if word in _ABBREVIATIONS else word.capitalize() for word in self.name.split("_"))
        name = "".join(f"{word}_" if word in _ABBREVIATIONS else word for word in words)
        return f"TPM2_{name.removesuffix('_')}"


@dataclass(frozen=True, slots=True)
class Response:
    """A response to a command that succeeded or failed.

    Attributes:
        code: TPM_RC, 0 is success.
        handle: handle of what was made, for commands that make something.
        parameters: what the command returns.
        authorizations: what the TPM says about the sessions, unparsed.
    """

    code: int
    handle: int | None = None
    parameters: bytes = b""
    authorizations: bytes = b""


def build_command(
    command: Command, handles: Sequence[int], authorizations: Sequence[bytes], parameters: bytes
) -> bytes:
    """Frame a command.

    Args:
        command: which.
        handles: objects that it works on.
        authorizations: one TPMS_AUTH_COMMAND for each handle that needs one.
        parameters: marshalled parameters.
    """
    body = b"".join(struct.pack(">I", handle) for handle in handles)
    if authorizations:
        area = b"".join(authorizations)
        body += struct.pack(">I", len(area)) + area
    tag = ST_SESSIONS if authorizations else ST_NO_SESSIONS
    return _HEADER.pack(tag, _HEADER.size + len(body) + len(parameters), command) + body + parameters


def parse_response(data: bytes, *, has_handle: bool) -> Response:
    """Parse the frame of a response.

    Args:
        data: the whole response.
        has_handle: whether the command returns a handle.

    Raises:
        MalformedError: it is not a response.
    """
    reader = Reader(data, "TPM response")
    tag = reader.u16("tag")
    reader.expect(len(data), reader.u32("size"), "size")
    code = reader.u32("response code")
    if code:
        return Response(code)
    handle = reader.u32("handle") if has_handle else None
    if tag == ST_NO_SESSIONS:
        return Response(code, handle, reader.rest())
    reader.expect(ST_SESSIONS, tag, "tag")
    return Response(code, handle, reader.sized32("parameters"), reader.rest())
