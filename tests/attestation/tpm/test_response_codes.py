# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a refusal of a TPM says to people."""

from __future__ import annotations

import pytest

from attestation.tpm.commands import Command
from attestation.tpm.response_codes import name_of_code, tpm_error


@pytest.mark.parametrize(
    "code,name",
    [
        (0x99D, "TPM_RC_POLICY_FAIL (session 1)"),
        (0x18B, "TPM_RC_HANDLE (handle 1)"),
        (0x2D6, "TPM_RC_SYMMETRIC (parameter 2)"),
        (0x1C4, "TPM_RC_VALUE (parameter 1)"),
        (0xA22, "0xa22"),
        (0x902, "TPM_RC_OBJECT_MEMORY"),
        (0x921, "TPM_RC_LOCKOUT"),
        (0x14A, "TPM_RC_NV_UNINITIALIZED"),
        (0x9A2, "TPM_RC_BAD_AUTH (session 1)"),
    ],
)
def test_codes_have_names(code: int, name: str) -> None:
    assert name_of_code(code) == name


def test_error_says_what_to_do() -> None:
    error = tpm_error("TPM2_Load", 0x902)
    assert error.command == "TPM2_Load"
    assert error.code == 0x902
    assert "somebody did not flush" in error.hint


def test_commands_are_spelt_as_in_the_specification() -> None:
    labels = {Command.NV_READ_PUBLIC: "TPM2_NV_ReadPublic", Command.PCR_READ: "TPM2_PCR_Read"}
    labels |= {Command.POLICY_PCR: "TPM2_PolicyPCR", Command.CREATE_PRIMARY: "TPM2_CreatePrimary"}
    assert {command: command.label for command in labels} == labels
