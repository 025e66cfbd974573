# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a TPM means when it says no (TPM_RC), in words.

After TPM 2.0 Library, Part 2 "Structures", 6.6. A code of format one also says which handle, session or parameter
of the command it means.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from attestation.errors import TpmError

if TYPE_CHECKING:
    from collections.abc import Mapping

SUCCESS: Final = 0x000
POLICY_FAIL: Final = 0x09D
YIELDED: Final = 0x908
TESTING: Final = 0x90A
RETRY: Final = 0x922
TRY_AGAIN: Final = frozenset({YIELDED, TESTING, RETRY})  # the command was not begun; the same command may be sent again

_FORMAT_ONE: Final = 0x080
_PARAMETER: Final = 0x040
_SESSION: Final = 0x800

_NAMES: Final[Mapping[int, str]] = MappingProxyType(
    {
        0x01E: "TPM_RC_BAD_TAG",
        0x081: "TPM_RC_ASYMMETRIC",
        0x082: "TPM_RC_ATTRIBUTES",
        0x083: "TPM_RC_HASH",
        0x084: "TPM_RC_VALUE",
        0x085: "TPM_RC_HIERARCHY",
        0x087: "TPM_RC_KEY_SIZE",
        0x088: "TPM_RC_MGF",
        0x089: "TPM_RC_MODE",
        0x08A: "TPM_RC_TYPE",
        0x08B: "TPM_RC_HANDLE",
        0x08C: "TPM_RC_KDF",
        0x08D: "TPM_RC_RANGE",
        0x08E: "TPM_RC_AUTH_FAIL",
        0x08F: "TPM_RC_NONCE",
        0x090: "TPM_RC_PP",
        0x092: "TPM_RC_SCHEME",
        0x095: "TPM_RC_SIZE",
        0x096: "TPM_RC_SYMMETRIC",
        0x097: "TPM_RC_TAG",
        0x098: "TPM_RC_SELECTOR",
        0x09A: "TPM_RC_INSUFFICIENT",
        0x09B: "TPM_RC_SIGNATURE",
        0x09C: "TPM_RC_KEY",
        0x09D: "TPM_RC_POLICY_FAIL",
        0x09F: "TPM_RC_INTEGRITY",
        0x0A0: "TPM_RC_TICKET",
        0x0A1: "TPM_RC_RESERVED_BITS",
        0x0A2: "TPM_RC_BAD_AUTH",
        0x0A3: "TPM_RC_EXPIRED",
        0x0A4: "TPM_RC_POLICY_CC",
        0x0A5: "TPM_RC_BINDING",
        0x0A6: "TPM_RC_CURVE",
        0x0A7: "TPM_RC_ECC_POINT",
        0x100: "TPM_RC_INITIALIZE",
        0x101: "TPM_RC_FAILURE",
        0x103: "TPM_RC_SEQUENCE",
        0x120: "TPM_RC_DISABLED",
        0x121: "TPM_RC_EXCLUSIVE",
        0x124: "TPM_RC_AUTH_TYPE",
        0x125: "TPM_RC_AUTH_MISSING",
        0x126: "TPM_RC_POLICY",
        0x127: "TPM_RC_PCR",
        0x128: "TPM_RC_PCR_CHANGED",
        0x12D: "TPM_RC_UPGRADE",
        0x12E: "TPM_RC_TOO_MANY_CONTEXTS",
        0x12F: "TPM_RC_AUTH_UNAVAILABLE",
        0x130: "TPM_RC_REBOOT",
        0x131: "TPM_RC_UNBALANCED",
        0x142: "TPM_RC_COMMAND_SIZE",
        0x143: "TPM_RC_COMMAND_CODE",
        0x144: "TPM_RC_AUTHSIZE",
        0x145: "TPM_RC_AUTH_CONTEXT",
        0x146: "TPM_RC_NV_RANGE",
        0x147: "TPM_RC_NV_SIZE",
        0x148: "TPM_RC_NV_LOCKED",
        0x149: "TPM_RC_NV_AUTHORIZATION",
        0x14A: "TPM_RC_NV_UNINITIALIZED",
        0x14B: "TPM_RC_NV_SPACE",
        0x14C: "TPM_RC_NV_DEFINED",
        0x150: "TPM_RC_BAD_CONTEXT",
        0x151: "TPM_RC_CPHASH",
        0x152: "TPM_RC_PARENT",
        0x153: "TPM_RC_NEEDS_TEST",
        0x154: "TPM_RC_NO_RESULT",
        0x155: "TPM_RC_SENSITIVE",
        0x901: "TPM_RC_CONTEXT_GAP",
        0x902: "TPM_RC_OBJECT_MEMORY",
        0x903: "TPM_RC_SESSION_MEMORY",
        0x904: "TPM_RC_MEMORY",
        0x905: "TPM_RC_SESSION_HANDLES",
        0x906: "TPM_RC_OBJECT_HANDLES",
        0x907: "TPM_RC_LOCALITY",
        YIELDED: "TPM_RC_YIELDED",
        0x909: "TPM_RC_CANCELED",
        TESTING: "TPM_RC_TESTING",
        0x910: "TPM_RC_REFERENCE_H0",
        0x918: "TPM_RC_REFERENCE_S0",
        0x920: "TPM_RC_NV_RATE",
        0x921: "TPM_RC_LOCKOUT",
        RETRY: "TPM_RC_RETRY",
        0x923: "TPM_RC_NV_UNAVAILABLE",
    },
)

_HINTS: Final[Mapping[int, str]] = MappingProxyType(
    {
        0x082: "the key or index does not allow this use",
        0x08B: "nothing is stored under this handle; was it ever provisioned?",
        0x08E: "the authorisation value is wrong; more failures lead to lockout",
        0x09D: "the registers are not those that the secret was sealed to, or another condition of its policy is false",
        0x09F: "the blob was made by another TPM, or by this one before it was cleared",
        0x0A2: "the authorisation value is wrong: does somebody own this hierarchy?",
        0x100: "the TPM waits for TPM2_Startup, which firmware sends; start swtpm with startup-clear",
        0x101: "the TPM is in failure mode: power-cycle the machine",
        0x143: "this TPM does not know the command",
        0x149: "the index asks for another authorisation",
        0x14A: "the index is defined, and was never written",
        0x14C: "the index is defined already",
        0x902: "every slot for objects is taken: somebody did not flush; use /dev/tpmrm0, or restart swtpm",
        0x903: "every slot for sessions is taken: somebody did not flush; use /dev/tpmrm0, or restart swtpm",
        0x905: "every session handle is taken: somebody did not flush; use /dev/tpmrm0, or restart swtpm",
        0x921: "too many wrong authorisations: wait, or reset the lockout with its authorisation",
    },
)


def name_of_code(code: int) -> str:
    """Name a response code, and the part of the command that it means.

    Args:
        code: TPM_RC, e.g. 0x99D.

    Returns:
        E.g. "TPM_RC_POLICY_FAIL (session 1)"; the number itself where it has no name here.
    """
    name = _NAMES.get(_bare(code), f"{code:#x}")
    if not code & _FORMAT_ONE:
        return name
    number = code >> 8 & 0xF
    if code & _PARAMETER:
        return f"{name} (parameter {number})"
    return f"{name} (session {number - 8})" if code & _SESSION else f"{name} (handle {number})"


def tpm_error(command: str, code: int) -> TpmError:
    """Make the error for a response code, with its name and what to do next.

    Args:
        command: name of the command ("TPM2_Unseal").
        code: TPM_RC.
    """
    hint = _HINTS.get(_bare(code))
    return TpmError(command, code, hint=f"{name_of_code(code)}: {hint}" if hint else name_of_code(code))


def _bare(code: int) -> int:
    """Take the handle, session or parameter out of a code of format one."""
    return code & 0x0BF if code & _FORMAT_ONE else code & 0xFFF
