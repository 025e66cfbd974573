# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Evidence from a real TPM, with the key of each kind of platform."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from attestation.errors import DeviceError, TpmError
from attestation.evidence import Evidence, TpmEvidence
from attestation.testing.tpm import SoftwareTpm
from attestation.tpm.attestation_key import AttestationKey
from attestation.tpm.issuer import (
    AZURE_KEY,
    GCP_ECC_TEMPLATE,
    GCP_RSA_TEMPLATE,
    AttestationKeySource,
    TpmEvidenceSource,
    TpmIssuer,
)
from attestation.tpm.nv import nv_define, nv_write
from attestation.tpm.structures import Hierarchy
from attestation.tpm.templates import ecc_attestation_key, rsa_attestation_key
from attestation.tpm.verify import VerifiedQuote, verify_quote
from attestation.variant import Variant

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from attestation.tpm.client import LoadedObject, Tpm
    from attestation.tpm.quote import SignedQuote

BINDING = bytes(range(32))


def verify(evidence: TpmEvidence) -> VerifiedQuote:
    key = AttestationKey.from_public_area(evidence.ak_public)
    return verify_quote(key, evidence.attest, evidence.signature, evidence.pcrs, binding=BINDING, vouchers=())


def provision(tpm: Tpm) -> None:
    """Do what clouds do before a machine starts."""
    for index, template in ((GCP_RSA_TEMPLATE, rsa_attestation_key()), (GCP_ECC_TEMPLATE, ecc_attestation_key())):
        nv_define(tpm, index, len(template))
        nv_write(tpm, index, template)
    with tpm.primary(Hierarchy.OWNER, rsa_attestation_key()) as key:
        tpm.persist(key, AZURE_KEY)


@pytest.mark.parametrize("source", AttestationKeySource)
def test_evidence_of_every_kind_of_platform_is_genuine(fresh_tpm: Tpm, source: AttestationKeySource) -> None:
    provision(fresh_tpm)
    evidence = TpmIssuer(fresh_tpm, source).evidence(BINDING)
    assert verify(evidence).pcrs == fresh_tpm.pcr_read(range(24))


@pytest.mark.parametrize(
    "source", [AttestationKeySource.AZURE, AttestationKeySource.GCP_RSA, AttestationKeySource.GCP_ECC]
)
def test_key_that_the_platform_did_not_provide_is_an_error(fresh_tpm: Tpm, source: AttestationKeySource) -> None:
    with pytest.raises(TpmError):
        TpmIssuer(fresh_tpm, source).evidence(BINDING)


def test_template_of_the_cloud_gives_the_key_of_its_certificate(fresh_tpm: Tpm) -> None:
    provision(fresh_tpm)
    ours = TpmIssuer(fresh_tpm, AttestationKeySource.ECC_PRIMARY).evidence(BINDING)
    theirs = TpmIssuer(fresh_tpm, AttestationKeySource.GCP_ECC).evidence(BINDING)
    assert ours.ak_public == theirs.ak_public


def test_boot_log_travels_with_the_evidence(fresh_tpm: Tpm, tmp_path: Path) -> None:
    log = tmp_path / "binary_bios_measurements"
    log.write_bytes(b"log")
    assert TpmIssuer(fresh_tpm, boot_log=log).evidence(BINDING).event_log == b"log"
    assert TpmIssuer(fresh_tpm, boot_log=tmp_path / "nothing").evidence(BINDING).event_log == b""


def test_boot_log_that_cannot_be_read_is_an_error(fresh_tpm: Tpm, tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="cannot read the boot log"):
        TpmIssuer(fresh_tpm, boot_log=tmp_path).evidence(BINDING)


def test_evidence_of_a_real_tpm_survives_json(fresh_tpm: Tpm) -> None:
    evidence = Evidence(Variant.QEMU_VTPM, tpm=TpmIssuer(fresh_tpm).evidence(BINDING))
    assert Evidence.from_json(evidence.to_json()) == evidence


@pytest.mark.parametrize("extends", [1, 2])
def test_register_that_is_extended_in_between_is_read_again(
    fresh_tpm: Tpm, monkeypatch: pytest.MonkeyPatch, extends: int
) -> None:
    left = [bytes([number]) * 32 for number in range(extends)]
    quote = fresh_tpm.quote

    def extend_then_quote(key: LoadedObject, binding: bytes, registers: Iterable[int]) -> SignedQuote:
        if left:
            fresh_tpm.pcr_extend(10, left.pop())
        return quote(key, binding, registers)

    monkeypatch.setattr(fresh_tpm, "quote", extend_then_quote)
    verify(TpmIssuer(fresh_tpm).evidence(BINDING))


def test_registers_that_never_hold_still_are_an_error(fresh_tpm: Tpm, monkeypatch: pytest.MonkeyPatch) -> None:
    quote = fresh_tpm.quote

    def extend_then_quote(key: LoadedObject, binding: bytes, registers: Iterable[int]) -> SignedQuote:
        fresh_tpm.pcr_extend(10, bytes(32))
        return quote(key, binding, registers)

    monkeypatch.setattr(fresh_tpm, "quote", extend_then_quote)
    with pytest.raises(DeviceError, match="each of 3 quotes"):
        TpmIssuer(fresh_tpm).evidence(BINDING)


def test_software_tpm_stands_in_for_an_issuer(fresh_tpm: Tpm) -> None:
    nv_define(fresh_tpm, 0x01800100, 4)
    sources: list[TpmEvidenceSource] = [SoftwareTpm(), TpmIssuer(fresh_tpm)]
    for source in sources:
        verify(source.evidence(BINDING))
        source.nv_write(0x01800100, b"data")
        assert source.nv_read(0x01800100) == b"data"
        with pytest.raises(TpmError):
            source.nv_read(0x01800101)
