# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""AMD's key distribution service (KDS): certificates of chips, chains of product lines, revocation lists.

After AMD 57230, "KDS interface". The service limits its callers, so answers are kept (`Cache`), a refusal is answered
with patience that has an end, and nothing on the join path asks at all: endorsements travel with the evidence.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Protocol

from cryptography import x509

from attestation.errors import EndorsementError, MalformedError
from attestation.snp.certificate import parse_certificate, split_pem
from attestation.snp.report import SigningKey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from attestation.snp.product import Product

MAX_SIZE: Final = 1024 * 1024  # bytes of an answer
MAX_ATTEMPTS: Final = 4
MAX_PATIENCE: Final = timedelta(seconds=60)  # for all waiting of one call together
FIRST_DELAY: Final = timedelta(seconds=1)  # doubles with every attempt where the service names none
SEND_ALONG: Final = "a node that sends its certificates with the evidence needs no KDS"

_MAX_DIGITS: Final = 9  # of a Retry-After in seconds: 30 years, far beyond any patience
_SECURITY_VERSIONS: Final = (
    ("fmcSPL", "fmc"),
    ("blSPL", "bootloader"),
    ("teeSPL", "tee"),
    ("snpSPL", "snp"),
    ("ucodeSPL", "microcode"),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the service says.

    Attributes:
        status: HTTP status.
        body: at most `MAX_SIZE` bytes.
        retry_after: header of this name, as sent; empty without one.
    """

    status: int
    body: bytes = b""
    retry_after: str = ""


class Transport(Protocol):
    """Something that carries a request to the service."""

    @property
    def host(self) -> str:
        """Name of the service, for people."""

    def get(self, path: str) -> Answer:
        """Ask for a path, which begins with a slash.

        Raises:
            EndorsementError: no network reaches the service.
        """


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer that was kept.

    Attributes:
        body: the answer.
        at: when it was given, aware UTC.
    """

    body: bytes
    at: datetime


class Store(Protocol):
    """Something that keeps answers."""

    def load(self, path: str) -> Kept | None:
        """Give what is kept for a path."""

    def save(self, path: str, kept: Kept) -> None:
        """Keep an answer for a path; a store that cannot says nothing."""


class Kds:
    """A client of the service.

    Args:
        transport: how to reach it (`attestation.snp.kds_transport.HttpsTransport`).
        store: where answers are kept (`attestation.snp.kds_cache.DiskCache`); None keeps nothing.
        now: tells the time, aware UTC.
        sleep: waits for some seconds.
    """

    def __init__(
        self,
        transport: Transport,
        store: Store | None = None,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._transport = transport
        self._store = store
        self._now = now
        self._sleep = sleep

    def vcek(self, product: Product, chip_id: bytes, tcb: Mapping[str, int]) -> bytes:
        """Fetch the VCEK certificate of a chip. It never changes, so it is kept for ever.

        Args:
            product: product line.
            chip_id: as in the report, 64 bytes; 8 are enough for Turin.
            tcb: component → security version, as reported.

        Returns:
            DER.

        Raises:
            EndorsementError: the service does not have it, cannot be reached, or asks for too much patience.
        """
        if not any(chip_id):
            raise EndorsementError("the report hides its chip, so its VCEK cannot be asked for", hint=SEND_ALONG)
        return self._fetch(vcek_path(product, chip_id, tcb), _check_certificate)

    def chain(self, product: Product, kind: SigningKey = SigningKey.VCEK) -> tuple[bytes, ...]:
        """Fetch ASK, or ASVK for VLEK, and ARK of a product line; kept for ever.

        Returns:
            DER, ARK last.

        Raises:
            EndorsementError: as for `vcek`.
        """
        return split_pem(self._fetch(f"{_line(product, kind)}/cert_chain", _check_chain))

    def crl(self, product: Product, kind: SigningKey = SigningKey.VCEK, *, max_age: timedelta) -> bytes:
        """Fetch the revocation list of a product line.

        Args:
            product: product line.
            kind: VCEK or VLEK.
            max_age: how old a kept list may be.

        Returns:
            DER.

        Raises:
            EndorsementError: as for `vcek`; an old list is never given instead.
        """
        return self._fetch(f"{_line(product, kind)}/crl", _check_crl, max_age=max_age)

    def _fetch(self, path: str, check: Callable[[bytes], None], *, max_age: timedelta | None = None) -> bytes:
        kept = self._store.load(path) if self._store is not None else None
        if kept is not None and self._is_usable(kept, check, max_age):
            return kept.body
        body = self._ask(path)
        try:
            check(body)
        except MalformedError as error:
            raise self._failure(path, f"gave something else: {error}") from None
        if self._store is not None:
            self._store.save(path, Kept(body, self._now()))
        return body

    def _is_usable(self, kept: Kept, check: Callable[[bytes], None], max_age: timedelta | None) -> bool:
        # What was kept in the future was kept by a wrong clock, now or then: its age is not known.
        if max_age is not None and not timedelta() <= self._now() - kept.at <= max_age:
            return False
        try:
            check(kept.body)
        except MalformedError:
            return False
        return True

    def _ask(self, path: str) -> bytes:
        patience = MAX_PATIENCE
        for attempt in range(MAX_ATTEMPTS):
            answer = self._transport.get(path)
            if answer.status == HTTPStatus.OK:
                return answer.body
            if not _is_passing(answer.status):
                raise self._failure(path, f"answered {answer.status}")
            delay = self._delay(answer, attempt)
            if delay > patience or attempt + 1 == MAX_ATTEMPTS:
                break
            patience -= delay
            self._sleep(delay.total_seconds())
        raise EndorsementError(
            f"{self._transport.host} is busy: it answered {answer.status} to {attempt + 1} requests",
            hint=f"try again in {delay.total_seconds():.0f} s; {SEND_ALONG}",
        )

    def _delay(self, answer: Answer, attempt: int) -> timedelta:
        wanted = _retry_after(answer.retry_after, self._now())
        return FIRST_DELAY * 2**attempt if wanted is None else max(wanted, timedelta())

    def _failure(self, path: str, what: str) -> EndorsementError:
        return EndorsementError(
            f"{self._transport.host} {what} (asked for {path})",
            hint=f"are product line, chip and TCB those of the report? {SEND_ALONG}",
        )


def vcek_path(product: Product, chip_id: bytes, tcb: Mapping[str, int]) -> str:
    """Give the path of a VCEK.

    Args:
        product: product line.
        chip_id: as in the report; the bytes that the line does not use are cut off.
        tcb: component → security version.
    """
    versions = "&".join(f"{name}={tcb[part]}" for name, part in _SECURITY_VERSIONS if part in product.tcb_layout)
    return f"{_line(product, SigningKey.VCEK)}/{chip_id[: product.chip_id_size].hex()}?{versions}"


def _line(product: Product, kind: SigningKey) -> str:
    return f"/{'vlek' if kind is SigningKey.VLEK else 'vcek'}/v1/{product}"


def _is_passing(status: int) -> bool:
    return status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR


def _retry_after(header: str, now: datetime) -> timedelta | None:
    # RFC 9110, 10.2.3: seconds, or a date.
    if header.isascii() and header.isdigit():
        return timedelta(seconds=int(header[:_MAX_DIGITS]))
    try:
        date = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)) - now


def _check_certificate(body: bytes) -> None:
    parse_certificate(body)


def _check_chain(body: bytes) -> None:
    certificates = split_pem(body)
    if len(certificates) != 2:  # noqa: PLR2004 - ASK or ASVK, and ARK
        raise MalformedError(f"a chain of {len(certificates)} certificates, expected 2")
    for certificate in certificates:
        parse_certificate(certificate)


def _check_crl(body: bytes) -> None:
    try:
        x509.load_der_x509_crl(body)
    except (ValueError, x509.InvalidVersion) as error:
        raise MalformedError(f"revocation list: {error}") from None
