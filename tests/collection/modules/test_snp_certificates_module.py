# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Certificates of a processor are fetched once, only where AMD vouches for them, and kept with their chain."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.constellation.core.plugins.module_utils import snp_host
from attestation.errors import AttestationError
from attestation.snp.certificate import parse_certificate, split_pem
from attestation.snp.kds import Answer, Kds
from attestation.snp.product import Product
from attestation.testing.kds import FakeKds
from attestation.testing.snp import FakeAmd
from constellation_engine.chip_certificates import Chip, keep, not_kept
from tests.collection.modules.running import run_module

if TYPE_CHECKING:
    from pathlib import Path

AMD = FakeAmd()
MACHINE = AMD.machine(Product.MILAN)
CHIP = Chip(Product.MILAN, MACHINE.chip_id, Product.MILAN.pack_tcb(MACHINE.tcb))
NOW = datetime(2026, 1, 1, tzinfo=UTC)
OPTIONS: dict[str, Any] = {"product": "Milan", "chip_id": "ab" * 64, "reported_tcb": "04000000000018db"}


def fetch(service: FakeKds, folder: Path, chip: Chip = CHIP) -> None:
    chain = AMD.signer(chip.product).certificate, AMD.root(chip.product).certificate
    keep(chip, folder, Kds(service, now=service.now, sleep=service.sleep), roots=AMD.roots, chain=chain, at=NOW)


def test_what_is_kept_is_what_a_host_is_looked_at_for(tmp_path: Path) -> None:
    fetch(FakeKds(AMD, [MACHINE]), tmp_path / "certificates")
    names = {file.name for file in (tmp_path / "certificates").iterdir()}
    assert names == set(snp_host.certificate_files("Milan", CHIP.reported_tcb))
    kept = parse_certificate((tmp_path / "certificates" / CHIP.certificate_file).read_bytes())
    assert kept.fingerprint == parse_certificate(MACHINE.certificate()).fingerprint
    assert len(split_pem((tmp_path / "certificates" / CHIP.chain_file).read_bytes())) == 2
    assert not_kept(CHIP, tmp_path / "certificates") == ()


def test_the_certificate_of_another_chip_is_not_kept(tmp_path: Path) -> None:
    service = FakeKds(AMD, [MACHINE])
    other = AMD.machine(Product.MILAN, chip_id=bytes(range(64)))
    with pytest.raises(AttestationError):
        fetch(service, tmp_path, Chip(Product.MILAN, other.chip_id, CHIP.reported_tcb))
    service.answers[service.requests[0]] = Answer(200, MACHINE.certificate())
    with pytest.raises(AttestationError, match="another one"):
        fetch(service, tmp_path, Chip(Product.MILAN, other.chip_id, CHIP.reported_tcb))
    assert not list(tmp_path.iterdir())


def test_whom_amd_does_not_vouch_for_is_not_kept(tmp_path: Path) -> None:
    impostor = FakeAmd("impostor").machine(Product.MILAN)
    service = FakeKds(FakeAmd("impostor"), [impostor])
    with pytest.raises(AttestationError):
        fetch(service, tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_is_kept_is_not_asked_for_again(tmp_path: Path) -> None:
    for name in snp_host.certificate_files("Milan", bytes.fromhex(OPTIONS["reported_tcb"])):
        (tmp_path / name).touch()
    answer = run_module("snp_certificates", path=str(tmp_path), kds="http://127.0.0.1:1", **OPTIONS)
    assert not answer["changed"]
    assert answer["certificate"] == f"{tmp_path}/vcek-04000000000018db.der"


def test_check_mode_says_what_would_come_and_asks_nobody(tmp_path: Path) -> None:
    path = tmp_path / "certificates"
    answer = run_module("snp_certificates", path=str(path), kds="http://127.0.0.1:1", check=True, **OPTIONS)
    assert answer["changed"]
    assert "milan-chain.pem" in answer["diff"]["after"]
    assert not path.exists()


@pytest.mark.parametrize(
    "options, said",
    [
        ({"product": "Rome"}, "product"),
        ({"chip_id": "abcd"}, "Option chip_id: expected 128 hex digits"),
        ({"reported_tcb": "none"}, "Option reported_tcb: expected 16 hex digits"),
        ({"kds": "http://mirror"}, "is not the address of a KDS"),
        ({"kds": "http://127.0.0.1:1"}, "127.0.0.1:1 cannot be reached"),
    ],
)
def test_what_is_wrong_with_options_is_named(options: dict[str, Any], said: str, tmp_path: Path) -> None:
    answer = run_module("snp_certificates", **{"path": str(tmp_path / "x"), **OPTIONS, **options})
    assert answer["failed"]
    assert said in answer["msg"]
