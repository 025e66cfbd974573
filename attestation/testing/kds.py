# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""AMD's key distribution service in memory, for `attestation.snp.kds.Kds`.

    service = FakeKds(amd, [machine])
    kds = Kds(service, sleep=service.sleep, now=service.now)

    service.refusals = 2                       # the next two requests are answered 429
    service.retry_after = "7"
    service.offline = True                     # no network reaches it
    service.answers[path] = Answer(200, b"")   # nonsense instead

A test never waits: `sleep` moves the clock that `now` shows.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from attestation.errors import EndorsementError
from attestation.snp.kds import Answer
from attestation.snp.product import Product
from attestation.snp.report import SigningKey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attestation.testing.snp import FakeAmd
    from attestation.testing.snp_machine import FakeMachine

_COMPONENTS = {"fmcSPL": "fmc", "blSPL": "bootloader", "teeSPL": "tee", "snpSPL": "snp", "ucodeSPL": "microcode"}


@dataclass(slots=True)
class FakeKds:
    """The service of a fake AMD.

    Attributes:
        amd: whose chains and lists it gives.
        machines: whose VCEKs it gives, for the TCB that they have.
        time: what its clock shows, aware UTC.
        offline: whether no network reaches it.
        refusals: how many of the next requests it answers with `refusal`.
        refusal: HTTP status of a refusal.
        retry_after: header that goes with a refusal.
        revoked: serial numbers on its revocation lists.
        answers: path → what it answers instead of the truth.
        requests: every path that it was asked for, in order.
        delays: seconds of every wait, in order.
    """

    amd: FakeAmd
    machines: Sequence[FakeMachine] = ()
    time: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    offline: bool = False
    refusals: int = 0
    refusal: int = HTTPStatus.TOO_MANY_REQUESTS
    retry_after: str = ""
    revoked: Sequence[int] = ()
    answers: dict[str, Answer] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)

    @property
    def host(self) -> str:
        """Name of the service."""
        return "fake-kds"

    def now(self) -> datetime:
        """Show the clock."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """Move the clock."""
        self.delays.append(seconds)
        self.time += timedelta(seconds=seconds)

    def get(self, path: str) -> Answer:
        """Answer a request."""
        self.requests.append(path)
        if self.offline:
            raise EndorsementError(f"{self.host} cannot be reached: offline", hint="the fake is offline")
        if self.refusals:
            self.refusals -= 1
            return Answer(self.refusal, retry_after=self.retry_after)
        return self.answers.get(path) or self._truth(path)

    def _truth(self, path: str) -> Answer:
        parts = urlsplit(path)
        _, kind, version, line, name = parts.path.split("/")
        if kind not in ("vcek", "vlek") or version != "v1" or line not in map(str, Product):
            return Answer(HTTPStatus.NOT_FOUND)
        product, signing_key = Product(line), SigningKey[kind.upper()]
        if name == "cert_chain":
            chain = self.amd.signer(product, signing_key).certificate, self.amd.root(product).certificate
            return Answer(HTTPStatus.OK, "".join(map(ssl.DER_cert_to_PEM_cert, chain)).encode("ascii"))
        if name == "crl":
            until = self.time + timedelta(days=365)
            lists = self.amd.crl(product, this_update=self.time, next_update=until, revoked=self.revoked)
            return Answer(HTTPStatus.OK, lists)
        tcb = {_COMPONENTS[key]: int(value) for key, value in parse_qsl(parts.query)}
        for machine in self.machines:
            if (machine.product, machine.chip_id.hex(), machine.tcb) == (product, name, tcb):
                return Answer(HTTPStatus.OK, machine.certificate())
        return Answer(HTTPStatus.NOT_FOUND)
