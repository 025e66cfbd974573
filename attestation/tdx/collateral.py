# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""How good a platform's security versions are, by Intel's signed word: TCB info, QE identity, revocation lists.

The evaluation is that of the package `dcap-qvl` (extra `tdx`). Collateral comes with the policy, as the JSON of its
`QuoteCollateralV3`; nothing here fetches. After Intel, "PCS API", version 4.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from attestation.errors import MalformedError, MissingExtraError
from attestation.policy_fields import TcbStatus

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from dcap_qvl import VerifiedReport

    from attestation.policy import Policy
    from attestation.tdx.verify import VerifiedQuote
    from attestation.verdict import Findings

MAX_SIZE: Final = 256 * 1024  # bytes of JSON; Intel's have about 16 KiB
_DEFAULT_STATUSES: Final = (TcbStatus.UP_TO_DATE.value,)


@dataclass(frozen=True, slots=True)
class Collateral:
    """Intel's word about one kind of platform. Who signed it is looked at when it is used.

    Attributes:
        text: the JSON.
        fmspc: 6 bytes, kind of the platform.
        revocation_lists: DER, of the root and of the PCK's issuer.
    """

    text: str
    fmspc: bytes
    revocation_lists: tuple[bytes, bytes]


def parse_collateral(data: bytes) -> Collateral:
    """Read the JSON of a QuoteCollateralV3 as far as it is needed to choose it.

    Raises:
        MalformedError: not such JSON.
    """
    if len(data) > MAX_SIZE:
        raise MalformedError(f"collateral: {len(data)} bytes, at most {MAX_SIZE} are read")
    try:
        text = data.decode("utf-8")
        record = json.loads(text)
        lists = bytes.fromhex(record["root_ca_crl"]), bytes.fromhex(record["pck_crl"])
        fmspc = bytes.fromhex(json.loads(record["tcb_info"])["fmspc"])
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise MalformedError(
            f"collateral: not the JSON of a QuoteCollateralV3: {error!r}",
            hint="dcap_qvl.get_collateral fetches it, its to_json() writes it",
        ) from None
    return Collateral(text, fmspc, lists)


def read_collateral(policy: Policy, findings: Findings) -> tuple[Collateral, ...]:
    """Read the policy's collateral; what cannot be read is a mismatch."""
    readable = []
    for data in policy.collateral:
        try:
            readable.append(parse_collateral(data))
        except MalformedError as error:
            findings.refuse("collateral", expected="the JSON of a QuoteCollateralV3", got=error)
    return tuple(readable)


def check_collateral(
    verified: VerifiedQuote,
    quote: bytes,
    collateral: Sequence[Collateral],
    policy: Policy,
    findings: Findings,
    *,
    at: datetime,
) -> None:
    """Refuse a platform whose state, by Intel's word, the policy does not accept.

    Args:
        verified: the genuine quote.
        quote: its bytes.
        collateral: what `read_collateral` gave.
        policy: the accepted states.
        findings: where mismatches and warnings go.
        at: "now", aware UTC.

    Raises:
        MissingExtraError: there is collateral, and `dcap-qvl` is not installed.
    """
    if not policy.collateral:
        findings.warn("TCB status was not evaluated: no collateral")
        if policy.tcb_statuses != _DEFAULT_STATUSES:
            findings.refuse("tcb_statuses", expected=" or ".join(policy.tcb_statuses), got="no collateral to tell it")
        return
    fmspc = verified.platform.fmspc
    matching = [entry for entry in collateral if entry.fmspc == fmspc]
    if not matching:
        known = ", ".join(entry.fmspc.hex() for entry in collateral) or "nothing readable"
        findings.refuse("collateral", expected=f"collateral for FMSPC {fmspc.hex()}", got=known)
        return
    errors = []
    for entry in matching:
        try:
            evaluation = _evaluate(quote, entry, verified.quote.signature.certificates[-1], at)
        except ValueError as error:
            errors.append(" ".join(str(error).split()))
            continue
        _check_status(evaluation, policy, findings)
        return
    findings.refuse("collateral", expected=f"collateral that holds at {at:%Y-%m-%dT%H:%M:%SZ}", got="; ".join(errors))


def _evaluate(quote: bytes, entry: Collateral, root: bytes, at: datetime) -> VerifiedReport:
    """Let `dcap-qvl` verify everything again, and more. The root is the one that we found to be pinned.

    It refuses TDs under debug, whatever the policy allows.
    """
    try:
        import dcap_qvl  # noqa: PLC0415 - an extra, loaded where it is needed
    except ImportError:
        raise MissingExtraError("dcap-qvl", "tdx") from None
    return dcap_qvl.verify_with_root_ca(
        quote, dcap_qvl.QuoteCollateralV3.from_json(entry.text), root, int(at.timestamp())
    )


def _check_status(evaluation: VerifiedReport, policy: Policy, findings: Findings) -> None:
    if evaluation.status not in policy.tcb_statuses:
        findings.refuse("tcb_statuses", expected=" or ".join(policy.tcb_statuses), got=evaluation.status)
    elif evaluation.status != TcbStatus.UP_TO_DATE:
        findings.warn(f"TCB status {evaluation.status} is accepted")
    if evaluation.advisory_ids:
        findings.warn(f"Intel advisories about this platform: {', '.join(evaluation.advisory_ids)}")
