# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Judges evidence of AWS: `aws-sev-snp`, `aws-nitro-tpm`.

AWS certifies no key of its NitroTPM. What its devices sign about a key is what the instance itself showed them
(`attestation.aws.key_info`): software that lies can show a key of its own and quote whatever it likes. So a key counts
where the policy lists it, after a credential activation with the endorsement key that AWS's API names; or where the
same document that names the key also shows, by registers that the policy knows, that the software does not lie.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from attestation.aws.document import REGISTER_SIZE, parse_document
from attestation.aws.key_info import key_info, key_report_data
from attestation.aws.verify import VerifiedDocument, verify_document
from attestation.errors import NotGenuineError
from attestation.snp.report import SigningKey
from attestation.snp.validator import examine_snp as examine_report
from attestation.tpm.validate import validate_registers
from attestation.tpm.validator import examine_tpm
from attestation.tpm.vouchers import LISTED, announced_key, trusted_certificates

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attestation.case import Case
    from attestation.policy_fields import Register
    from attestation.snp.verify import VerifiedReport
    from attestation.tpm.attestation_key import AttestationKey
    from attestation.verdict import Findings

CLOUD: Final = re.compile(r"(CN=)?cc-[a-z0-9-]+\.amazonaws\.com")


def examine_snp(case: Case, findings: Findings) -> None:
    """Judge an instance with SEV-SNP.

    1. AMD vouches for the report, by a VLEK that belongs to AWS (attack: a machine outside AWS, whose vTPM is its own).
    2. The report carries the hash of the attestation key (attack: a swapped key).
    3. The quote is signed by that key and carries the binding (attack: replay, relay, changed registers).
    4. The policy lists the key, or says that it does without (attack: software of a stranger on a genuine instance
       has the report signed about a key of its own).
    """
    with findings.checking():
        key = announced_key(case)
        # 1, 2
        expected = key_report_data(key)
        verified = examine_report(case, findings, report_data=expected)
        if verified is not None:
            with findings.checking():
                _check_owner(verified)
        # 3
        says_so = verified is not None and verified.report.report_data == expected
        vouchers = verified.vouchers if verified is not None and says_so else ()
        examine_tpm(case, findings, key=key, vouchers=vouchers, binding=case.binding)
        # 4
        _check_listed(case, findings)


def examine_nitro_tpm(case: Case, findings: Findings) -> None:
    """Judge an instance with a NitroTPM.

    1. Where the policy has roots, the Nitro system's document is genuine, answers the binding and names the key
       (attack: an instance that is none, a swapped key).
    2. Registers that the policy gives in SHA-384 are compared with the document (attack: lying software).
    3. The quote is signed by the key and carries the binding; the other registers are compared with it.
    4. The key is listed, or the document says both which key and, in an enforced register, which software.
    """
    with findings.checking():
        key = announced_key(case)
        wide = {name: register for name, register in case.policy.measurements.items() if _is_wide(register)}
        # 1, 2
        document = _examine_document(case, findings, key, wide)
        # 3, 4
        quoted = {name: register for name, register in case.policy.measurements.items() if not _is_wide(register)}
        vouchers = _vouchers(case, findings, key, document, wide)
        examine_tpm(case, findings, key=key, vouchers=vouchers, binding=case.binding, measurements=quoted)


def _check_listed(case: Case, findings: Findings) -> None:
    if case.policy.ak_names:  # compared with the key by `attestation.tpm.validate`
        return
    if case.policy.allow_unlisted_ak:
        findings.warn("the attestation key is the instance's own word: list keys that AWS knows in ak_names")
        return
    findings.refuse(
        "allow_unlisted_ak", expected="a key that ak_names lists", got="a key that only the instance's software names"
    )


def _check_owner(verified: VerifiedReport) -> None:
    endorsement = verified.endorsement
    if endorsement.kind is not SigningKey.VLEK or CLOUD.fullmatch(endorsement.csp) is None:
        raise NotGenuineError(
            "aws.vlek",
            expected="a report signed by a VLEK of cc-REGION.amazonaws.com",
            got=f"{endorsement.kind.name} of {endorsement.csp or 'a chip'}",
        )


def _is_wide(register: Register) -> bool:
    return len(register.expected) == REGISTER_SIZE


def _examine_document(
    case: Case, findings: Findings, key: AttestationKey, wide: Mapping[str, Register]
) -> VerifiedDocument | None:
    if not case.policy.ak_roots:
        if wide:
            findings.refuse("ak_roots", expected="roots of the Nitro system for SHA-384 measurements", got="none")
        return None
    with findings.checking():
        data = case.evidence.platform.get("nitro_document")
        if not data:
            raise NotGenuineError("ak_roots.document", expected="the part nitro_document of the platform", got="none")
        roots = trusted_certificates(case.policy.ak_roots, check="ak_roots")
        verified = verify_document(parse_document(data), roots, binding=case.binding, at=case.at, check="ak_roots")
        findings.proofs.append(verified)
        if verified.document.user_data != key_info(key):
            raise NotGenuineError(
                "aws.document_key", expected="a document about the attestation key", got="about something else"
            )
        validate_registers(verified.document.registers, wide, findings)
        return verified
    return None


def _vouchers(
    case: Case,
    findings: Findings,
    key: AttestationKey,
    document: VerifiedDocument | None,
    wide: Mapping[str, Register],
) -> tuple[str, ...]:
    if key.name in case.policy.ak_names:
        return (LISTED,)
    if document is not None and any(register.enforced for register in wide.values()):
        return document.vouchers
    if document is not None:
        findings.refuse(
            "ak_roots",
            expected="a key that ak_names lists, or enforced SHA-384 measurements to compare with the document",
            got="a key that the instance's software chose, and nothing that says which software it is",
        )
    return ()
