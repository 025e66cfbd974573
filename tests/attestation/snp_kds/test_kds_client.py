# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The client of AMD's key distribution service: patient, but not for ever; it keeps what it got."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from attestation.errors import EndorsementError
from attestation.snp.kds import MAX_ATTEMPTS, Answer, Kds, Kept, _retry_after, vcek_path
from attestation.snp.product import Product
from attestation.snp.report import SigningKey
from attestation.testing.kds import FakeKds
from attestation.testing.snp import FakeAmd

if TYPE_CHECKING:
    from collections.abc import Callable

AMD = FakeAmd()
MACHINE = AMD.machine(Product.MILAN, tcb={"bootloader": 4, "tee": 0, "snp": 24, "microcode": 219})
AGE = timedelta(days=1)
VCEK_PATH = vcek_path(MACHINE.product, MACHINE.chip_id, MACHINE.tcb)
EVERY_PATH = (VCEK_PATH, "/vcek/v1/Milan/cert_chain", "/vcek/v1/Milan/crl")


class Memory(dict[str, Kept]):
    """Keeps answers in memory."""

    def load(self, path: str) -> Kept | None:
        return self.get(path)

    def save(self, path: str, kept: Kept) -> None:
        self[path] = kept


@pytest.fixture
def service() -> FakeKds:
    return FakeKds(AMD, [MACHINE])


def client(service: FakeKds, store: Memory | None = None) -> Kds:
    return Kds(service, store, now=service.now, sleep=service.sleep)


def fetch(kds: Kds) -> bytes:
    return kds.vcek(MACHINE.product, MACHINE.chip_id, MACHINE.tcb)


def every_call(kds: Kds) -> list[Callable[[], object]]:
    return [lambda: fetch(kds), lambda: kds.chain(Product.MILAN), lambda: kds.crl(Product.MILAN, max_age=AGE)]


def subject(der: bytes) -> str:
    return x509.load_der_x509_certificate(der).subject.rfc4514_string()


@pytest.mark.parametrize(
    "product, path",
    [
        (Product.MILAN, f"/vcek/v1/Milan/{'ab' * 64}?blSPL=1&teeSPL=2&snpSPL=3&ucodeSPL=219"),
        (Product.GENOA, f"/vcek/v1/Genoa/{'ab' * 64}?blSPL=1&teeSPL=2&snpSPL=3&ucodeSPL=219"),
        (Product.TURIN, f"/vcek/v1/Turin/{'ab' * 8}?fmcSPL=9&blSPL=1&teeSPL=2&snpSPL=3&ucodeSPL=219"),
    ],
)
def test_addresses(product: Product, path: str) -> None:
    tcb = {"fmc": 9, "bootloader": 1, "tee": 2, "snp": 3, "microcode": 219}
    assert vcek_path(product, b"\xab" * 64, tcb) == path


@pytest.mark.parametrize("product", Product)
def test_the_vcek_of_every_product_line(product: Product) -> None:
    machine = AMD.machine(product)
    service = FakeKds(AMD, [machine])
    chip_id = machine.chip_id.ljust(64, b"\0")  # as reports write it
    der = client(service).vcek(product, chip_id, machine.tcb)
    assert f"/vcek/v1/{product}/{machine.chip_id.hex()}?" in service.requests[0]
    assert machine.chip_id in der


@pytest.mark.parametrize("kind, name", [(SigningKey.VCEK, "SEV-Genoa"), (SigningKey.VLEK, "SEV-VLEK-Genoa")])
def test_chains(service: FakeKds, kind: SigningKey, name: str) -> None:
    signer, root = client(service).chain(Product.GENOA, kind)
    assert subject(signer).startswith(f"CN={name},")
    assert subject(root).startswith("CN=ARK-Genoa,")
    assert service.requests == [f"/{kind.name.lower()}/v1/Genoa/cert_chain"]


@pytest.mark.parametrize("kind", [SigningKey.VCEK, SigningKey.VLEK])
def test_revocation_lists(service: FakeKds, kind: SigningKey) -> None:
    service.revoked = [AMD.signer(Product.MILAN).serial]
    crl = x509.load_der_x509_crl(client(service).crl(Product.MILAN, kind, max_age=AGE))
    assert [entry.serial_number for entry in crl] == service.revoked
    assert service.requests == [f"/{kind.name.lower()}/v1/Milan/crl"]


def test_a_busy_service_is_asked_again_later_and_later(service: FakeKds) -> None:
    service.refusals = 3
    assert fetch(client(service))
    assert service.delays == [1, 2, 4]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_passes_is_waited_for(service: FakeKds, status: int) -> None:
    service.refusals, service.refusal = 1, status
    assert fetch(client(service))
    assert len(service.requests) == 2


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404])
def test_what_does_not_pass_is_not_waited_for(service: FakeKds, status: int) -> None:
    service.refusals, service.refusal = 1, status
    with pytest.raises(EndorsementError, match=f"answered {status}"):
        fetch(client(service))
    assert len(service.requests) == 1


def test_patience_ends_after_some_attempts(service: FakeKds) -> None:
    service.refusals = 100
    with pytest.raises(EndorsementError, match="fake-kds is busy") as refused:
        fetch(client(service))
    assert len(service.requests) == MAX_ATTEMPTS
    assert "with the evidence" in refused.value.hint


@pytest.mark.parametrize("name, seconds", [("7", 7), ("0", 0), (" soon", 1), ("", 1), ("-3", 1)])
def test_the_service_says_how_long_to_wait(service: FakeKds, name: str, seconds: int) -> None:
    service.refusals, service.retry_after = 1, name
    assert fetch(client(service))
    assert service.delays == [seconds]


@pytest.mark.parametrize("offset, seconds", [(9, 9), (-9, 0)])
def test_the_service_says_until_when_to_wait(service: FakeKds, offset: int, seconds: int) -> None:
    date = service.time + timedelta(seconds=offset)
    service.refusals, service.retry_after = 1, format_datetime(date, usegmt=True)
    assert fetch(client(service))
    assert service.delays == [seconds]


@pytest.mark.parametrize("wanted", ["61", "3600", "9" * 400, "Fri, 01 Jan 2100 00:00:00 GMT"])
def test_a_service_that_asks_for_too_much_patience_is_left(service: FakeKds, wanted: str) -> None:
    service.refusals, service.retry_after = 1, wanted
    with pytest.raises(EndorsementError, match="busy") as refused:
        fetch(client(service))
    assert service.delays == []
    assert "try again in" in refused.value.hint


def test_all_waiting_together_has_an_end(service: FakeKds) -> None:
    service.refusals, service.retry_after = 100, "25"
    with pytest.raises(EndorsementError):
        fetch(client(service))
    assert service.delays == [25, 25]


@given(
    st.text(max_size=40) | st.from_regex(r"[A-Z][a-z]{2}, [0-9]{1,30} [A-Z][a-z]{2} [0-9]{1,30} [0-9:]{1,20} [-+]?.*")
)
def test_any_header_means_something(header: str) -> None:
    delay = _retry_after(header, datetime(2026, 1, 1, tzinfo=UTC))
    assert delay is None or isinstance(delay, timedelta)


def test_offline_is_said_with_what_to_do(service: FakeKds) -> None:
    service.offline = True
    with pytest.raises(EndorsementError):
        fetch(client(service))
    assert len(service.requests) == 1


def test_a_chip_that_is_not_known(service: FakeKds) -> None:
    with pytest.raises(EndorsementError, match="answered 404") as refused:
        client(service).vcek(Product.MILAN, b"\1" * 64, MACHINE.tcb)
    assert "chip and TCB" in refused.value.hint


def test_a_hidden_chip_is_not_asked_for(service: FakeKds) -> None:
    with pytest.raises(EndorsementError, match="hides its chip"):
        client(service).vcek(Product.MILAN, bytes(64), MACHINE.tcb)
    assert service.requests == []


@pytest.mark.parametrize("body", [b"", b"<html>", b"\x30\x03\x02\x01\x00"])
def test_nonsense_is_refused_and_not_kept(service: FakeKds, body: bytes) -> None:
    store = Memory()
    for path in EVERY_PATH:
        service.answers[path] = Answer(200, body)
    kds = client(service, store)
    for call in every_call(kds):
        with pytest.raises(EndorsementError, match="something else"):
            call()
    assert store == {}


def test_answers_that_break_off_are_refused(service: FakeKds) -> None:
    kds = client(service)
    for path in EVERY_PATH:
        service.answers[path] = Answer(200, service.get(path).body[:-2])
    for call in every_call(kds):
        with pytest.raises(EndorsementError, match="something else"):
            call()


@given(st.binary(max_size=300), st.sampled_from(EVERY_PATH))
def test_any_answer_is_used_or_refused(body: bytes, path: str) -> None:
    service = FakeKds(AMD, [MACHINE])
    service.answers[path] = Answer(200, body)
    for call in every_call(client(service)):
        with suppress(EndorsementError):
            call()


@given(st.sampled_from(EVERY_PATH), st.floats(0, 1, exclude_max=True), st.integers(1, 255))
def test_any_flipped_byte_is_used_or_refused(path: str, place: float, flip: int) -> None:
    service = FakeKds(AMD, [MACHINE])
    body = bytearray(service.get(path).body)
    body[int(place * len(body))] ^= flip
    service.answers[path] = Answer(200, bytes(body))
    for call in every_call(client(service)):
        with suppress(EndorsementError):
            call()


def test_half_a_chain_is_refused(service: FakeKds) -> None:
    path = "/vcek/v1/Milan/cert_chain"
    service.answers[path] = Answer(200, service.get(path).body.split(b"-----END")[0] + b"-----END CERTIFICATE-----\n")
    with pytest.raises(EndorsementError, match="chain of 1"):
        client(service).chain(Product.MILAN)


def test_a_vcek_is_fetched_once_for_ever(service: FakeKds) -> None:
    kds = client(service, Memory())
    first = fetch(kds)
    service.time += timedelta(days=3650)
    service.offline = True
    assert fetch(kds) == first
    assert len(service.requests) == 1


def test_each_tcb_has_its_own_vcek(service: FakeKds) -> None:
    kds = client(service, Memory())
    fetch(kds)
    with pytest.raises(EndorsementError):
        kds.vcek(MACHINE.product, MACHINE.chip_id, MACHINE.tcb | {"snp": 25})


def test_a_revocation_list_is_kept_for_as_long_as_the_caller_likes(service: FakeKds) -> None:
    kds = client(service, Memory())
    for age, requests in ((timedelta(), 1), (AGE, 1), (AGE + timedelta(seconds=1), 2)):
        service.time += age
        kds.crl(Product.MILAN, max_age=AGE)
        assert len(service.requests) == requests


def test_an_old_revocation_list_does_not_stand_in_for_a_fresh_one(service: FakeKds) -> None:
    kds = client(service, Memory())
    kds.crl(Product.MILAN, max_age=AGE)
    service.time += 2 * AGE
    service.offline = True
    with pytest.raises(EndorsementError):
        kds.crl(Product.MILAN, max_age=AGE)


def test_a_list_from_the_future_is_fetched_again(service: FakeKds) -> None:
    kds = client(service, Memory())
    kds.crl(Product.MILAN, max_age=AGE)
    service.time -= timedelta(hours=1)
    kds.crl(Product.MILAN, max_age=AGE)
    assert len(service.requests) == 2


def test_what_broke_in_the_store_is_fetched_again(service: FakeKds) -> None:
    store = Memory()
    kds = client(service, store)
    fetch(kds)
    store[VCEK_PATH] = Kept(b"broken", service.time)
    fetch(kds)
    assert len(service.requests) == 2
    assert store[VCEK_PATH].body != b"broken"
