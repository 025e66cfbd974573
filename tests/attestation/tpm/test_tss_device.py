# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The way through the TPM2 Software Stack, where `tpm2-pytss` is installed, and what is said where it is not."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Literal

import pytest

from attestation.errors import DeviceError, MissingExtraError
from attestation.testing.swtpm import running_swtpm
from attestation.tpm.client import Tpm
from attestation.tpm.issuer import TpmIssuer

if TYPE_CHECKING:
    from pathlib import Path


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tpm2_pytss", None)
    with pytest.raises(MissingExtraError) as refusal:
        Tpm.open("tss:device:/dev/tpmrm0")
    assert "agent-tss" in refusal.value.hint


@pytest.mark.parametrize("transport", ["tcp", "unix"])
def test_same_tpm_through_the_stack(tmp_path: Path, transport: Literal["tcp", "unix"]) -> None:
    pytest.importorskip("tpm2_pytss", reason="extra agent-tss is not installed")
    with running_swtpm(tmp_path, transport=transport, endorsed=False) as running:
        with Tpm.open(running.address) as tpm:
            direct = TpmIssuer(tpm).evidence(b"binding")
        with Tpm.open(running.tss_address) as tpm:
            through_the_stack = TpmIssuer(tpm).evidence(b"binding")
    assert through_the_stack.ak_public == direct.ak_public
    assert through_the_stack.pcrs == direct.pcrs


def test_unknown_tcti_is_told_so() -> None:
    pytest.importorskip("tpm2_pytss", reason="extra agent-tss is not installed")
    with pytest.raises(DeviceError, match="cannot open 'nonsense'"):
        Tpm.open("tss:nonsense")
