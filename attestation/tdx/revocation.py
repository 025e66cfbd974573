# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Intel's revocation lists: one of the root, about intermediates; one of each intermediate, about PCK certificates.

Lists come with the policy, put there by whoever wrote it; nothing here fetches (RFC 5280, section 5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509

from attestation.chain import reading_x509
from attestation.errors import MalformedError, NotGenuineError
from attestation.policy_fields import Revocation
from attestation.tdx.chain import check_form

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime, timedelta

    from attestation.policy import Policy
    from attestation.tdx.chain import PckChain
    from attestation.tdx.verify import VerifiedQuote
    from attestation.verdict import Findings


@dataclass(frozen=True, slots=True)
class RevocationList:
    """A list that holds: its issuer signed it, and it does not revoke our chain.

    Attributes:
        issuer: common name of the issuer.
        this_update: when it was made, aware UTC.
        next_update: when a newer one is due.
    """

    issuer: str
    this_update: datetime
    next_update: datetime

    def is_fresh(self, at: datetime, max_age: timedelta) -> bool:
        """Whether the list is of use at this time."""
        return self.this_update <= at <= self.next_update and at - self.this_update <= max_age


def check_revocation(chain: PckChain, lists: Iterable[bytes]) -> tuple[RevocationList, ...]:
    """Look into every list of the two issuers in the chain; lists of others do not matter here.

    A list that is too old to prove that something is not revoked still proves that something is.

    Args:
        chain: what may be revoked.
        lists: DER.

    Raises:
        MalformedError: one of the lists is none.
        NotGenuineError: the issuer did not sign the list, or it revokes a certificate of the chain.
    """
    return tuple(checked for der in lists for checked in _check_list(chain, _load(der)))


def check_freshness(verified: VerifiedQuote, policy: Policy, findings: Findings, *, at: datetime) -> None:
    """Demand a fresh list of both issuers, if the policy does.

    Args:
        verified: the genuine quote and the lists that were looked into.
        policy: whether, and how old a list may be.
        findings: where mismatches and warnings go.
        at: "now", aware UTC.
    """
    fresh = {entry.issuer for entry in verified.revocation_lists if entry.is_fresh(at, policy.crl_max_age)}
    missing = [signer.name for signer in (verified.chain.root, verified.chain.intermediate) if signer.name not in fresh]
    if not missing:
        return
    if policy.crl is Revocation.OFF:
        findings.warn("crl is off: a revoked platform would be accepted")
        return
    for name in missing:
        dates = [f"{entry.this_update:%Y-%m-%d}" for entry in verified.revocation_lists if entry.issuer == name]
        findings.refuse(
            "crl",
            expected=f"a list of {name} that is valid and not older than {policy.crl_max_age}",
            got=f"lists of {', '.join(dates)}" if dates else "none",
        )


def _check_list(chain: PckChain, revocation_list: x509.CertificateRevocationList) -> Iterator[RevocationList]:
    for issuer, subject in ((chain.root, chain.intermediate), (chain.intermediate, chain.leaf)):
        serial = subject.certificate.serial_number
        with reading_x509("revocation list"):
            if revocation_list.issuer != issuer.certificate.subject:
                continue
            signed = revocation_list.is_signature_valid(issuer.key)
            revoked = revocation_list.get_revoked_certificate_by_serial_number(serial) is not None
        begin, end = revocation_list.last_update_utc, revocation_list.next_update_utc
        if not signed:
            raise NotGenuineError(
                "tdx.crl", expected=f"a list signed by {issuer.name}", got="a signature that does not hold"
            )
        if revoked:
            raise NotGenuineError(
                "tdx.revocation",
                expected=f"{subject.name} not revoked",
                got=f"serial {serial:x} revoked by the list of {begin:%Y-%m-%d}",
            )
        if end is None:
            raise MalformedError(f"revocation list of {issuer.name} does not say when the next one is due")
        yield RevocationList(issuer.name, begin, end)


def _load(der: bytes) -> x509.CertificateRevocationList:
    check_form(der, "revocation list")
    with reading_x509("revocation list"):
        revocation_list = x509.load_der_x509_crl(der)
        critical = [entry.oid.dotted_string for entry in revocation_list.extensions if entry.critical]
    if critical:  # such a list is about part of the certificates only
        raise MalformedError(f"revocation list: critical extensions {', '.join(critical)} are not known")
    return revocation_list
