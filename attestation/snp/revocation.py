# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""AMD's revocation lists.

An ARK signs a list for each of its lines, which names revoked ASKs and ASVKs. VCEKs and VLEKs are not on it: they all
have serial 0 and are revoked by raising the TCB. Lists come with the policy; nothing here fetches (RFC 5280, §5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509

from attestation.chain import reading_x509
from attestation.der import Element, Tag, parse_der
from attestation.errors import MalformedError, NotGenuineError
from attestation.policy_fields import Revocation
from attestation.snp.certificate import check_signature

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from attestation.policy import Policy
    from attestation.snp.chain import Chain
    from attestation.verdict import Findings


def check_revocation(chain: Chain, policy: Policy, findings: Findings, *, at: datetime) -> None:
    """Refuse a revoked chain; demand a fresh list if the policy does.

    Raises:
        MalformedError: the policy holds something that is not a list.
        NotGenuineError: a list's signature does not hold, or it revokes the chain.
    """
    fresh = False
    for revocation_list in _lists_of(chain, policy.revocation_lists):
        for certificate in (chain.signer, chain.root):
            if revocation_list.get_revoked_certificate_by_serial_number(certificate.serial) is not None:
                raise NotGenuineError(
                    "snp.revocation",
                    expected=f"{certificate.common_name} not revoked",
                    got=f"revoked by the list of {revocation_list.last_update_utc:%Y-%m-%d}",
                )
        fresh = fresh or _is_fresh(revocation_list, policy, at)
    if fresh:
        return
    if policy.crl is Revocation.OFF:
        findings.warn("crl is off: a revoked AMD key would be accepted")
        return
    age = (
        f"{policy.crl_max_age.days} days" if policy.crl_max_age.days else f"{policy.crl_max_age.seconds // 3600} hours"
    )
    findings.refuse("crl", expected=f"a list of {chain.root_name} not older than {age}", got="none that is valid")


def _lists_of(chain: Chain, lists: tuple[bytes, ...]) -> Iterator[x509.CertificateRevocationList]:
    for der in lists:
        signed, algorithm, signature = parse_der(der).fields(Tag.SEQUENCE, Tag.SEQUENCE, Tag.BIT_STRING, what="CRL")
        if _issuer(signed) == chain.root.subject:
            check_signature(chain.root, algorithm.raw, signature.bits(), signed.raw, key=chain.root.public_key())
            yield _load(der)


def _issuer(signed: Element) -> bytes:
    # TBSCertList: version, algorithm, issuer, …
    names = [field.raw for field in signed.children() if field.tag == Tag.SEQUENCE]
    if len(names) < 2:  # noqa: PLR2004 - algorithm and issuer
        raise MalformedError("revocation list: no issuer")
    return names[1]


def _load(der: bytes) -> x509.CertificateRevocationList:
    with reading_x509("revocation list"):
        revocation_list = x509.load_der_x509_crl(der)
        critical = [extension.oid.dotted_string for extension in revocation_list.extensions if extension.critical]
    if critical:  # such a list speaks about some of the certificates only
        raise MalformedError(f"revocation list: unknown critical extension {', '.join(critical)}")
    return revocation_list


def _is_fresh(revocation_list: x509.CertificateRevocationList, policy: Policy, at: datetime) -> bool:
    begin, end = revocation_list.last_update_utc, revocation_list.next_update_utc
    return begin <= at and at - begin <= policy.crl_max_age and (end is None or at <= end)
