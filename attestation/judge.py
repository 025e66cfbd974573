# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The one way from evidence to a verdict; every front end uses it.

1. The policy must be for the evidence's variant (attack: evidence of a weaker platform).
2. The evidence must hold exactly the parts of its variant (attack: leave out the part that would betray it).
3. The variant's validator checks each part: genuine, bound, acceptable. It collects reasons, it does not stop at one.
4. What is accepted but should be known becomes a warning: no hardware root, no freshness, nothing enforced.
"""

from __future__ import annotations

import importlib
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from attestation.case import Case, Mark
from attestation.errors import PolicyError
from attestation.roots import VENDOR_ROOTS, Roots
from attestation.variant import HardwareRoot, RegisterPolicy, Technology, Variant
from attestation.verdict import Findings, Mismatch, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from attestation.evidence import Evidence
    from attestation.policy import Policy

# Loaded when first used: a node agent never pays for platforms that it is not on.
_EXAMINERS: Final[Mapping[Variant, tuple[str, str]]] = MappingProxyType(
    {
        Variant.QEMU_VTPM: ("attestation.qemu.validator", "examine_vtpm"),
        Variant.OPENSTACK_VTPM: ("attestation.qemu.validator", "examine_vtpm"),
        Variant.QEMU_SNP: ("attestation.qemu.validator", "examine_snp"),
        Variant.QEMU_TDX: ("attestation.qemu.validator", "examine_tdx"),
        Variant.AZURE_SEV_SNP: ("attestation.azure.validator", "examine_snp"),
        Variant.AZURE_TDX: ("attestation.azure.validator", "examine_tdx"),
        Variant.AZURE_TRUSTED_LAUNCH: ("attestation.azure.validator", "examine_trusted_launch"),
        Variant.AWS_SEV_SNP: ("attestation.aws.validator", "examine_snp"),
        Variant.AWS_NITRO_TPM: ("attestation.aws.validator", "examine_nitro_tpm"),
        Variant.GCP_SEV_SNP: ("attestation.gcp.validator", "examine_snp"),
        Variant.GCP_SEV_ES: ("attestation.gcp.validator", "examine_sev_es"),
        Variant.GCP_TDX: ("attestation.gcp.validator", "examine_tdx"),
        Variant.INSECURE: ("attestation.insecure", "examine"),
    },
)


def judge(
    evidence: Evidence,
    policy: Policy,
    *,
    binding: bytes | None,
    at: datetime,
    mark: Mark | bytes = Mark.UNMARKED,
    roots: Roots = VENDOR_ROOTS,
) -> Verdict:
    """Judge evidence by a policy.

    Args:
        evidence: what a node sent.
        policy: what is acceptable; must be for the same variant.
        binding: 32 bytes that the evidence must sign; None, said explicitly, for recorded evidence.
        at: the time to take as "now", aware UTC.
        mark: what the cluster mark must be: none yet (the default), any, or that of a cluster ID.
        roots: vendor keys to believe; others than the default only for fakes.

    Returns:
        The verdict with every reason. It is never a truth value.

    Raises:
        PolicyError: the policy is for another variant.
    """
    if policy.variant is not evidence.variant:
        raise PolicyError(
            f"evidence is of variant {evidence.variant}, the policy is for {policy.variant}",
            hint="judge each variant by a policy of its own",
        )
    case = Case(evidence=evidence, policy=policy, binding=binding, mark=mark, at=at, roots=roots)
    findings = Findings()
    if _complete(evidence, findings):
        _examiner(evidence.variant)(case, findings)
    if isinstance(mark, bytes) and evidence.variant.mark_register is None:
        # The question cannot be answered; whoever has the cluster ID in the binding asks with `Mark.ANY`.
        findings.refuse("mark", expected="a register with the mark of the cluster", got="a variant without registers")
    _warn(case, findings)
    return Verdict.close(evidence, findings, at=at)


def _complete(evidence: Evidence, findings: Findings) -> bool:
    present = {technology for technology in Technology if getattr(evidence, technology.value) is not None}
    expected = evidence.variant.technologies
    if present != expected:
        wanted = ", ".join(sorted(expected)) or "none"
        got = ", ".join(sorted(present)) or "none"
        findings.forgeries.append(Mismatch("evidence.parts", f"exactly the parts {wanted}", got))
    return present == expected


def _examiner(variant: Variant) -> Callable[[Case, Findings], None]:
    module, function = _EXAMINERS[variant]
    examine: Callable[[Case, Findings], None] = getattr(importlib.import_module(module), function)
    return examine


def _warn(case: Case, findings: Findings) -> None:
    if case.policy.not_for_secrets:
        findings.warn("NOT FOR SECRETS: the accepted image lets people in, as images for debugging do")
    if case.evidence.variant.hardware_root is HardwareRoot.NONE:
        findings.warn("no hardware root: whoever controls the host can forge this evidence")
    if case.binding is None:
        findings.warn("recorded evidence: freshness was not checked")
    if case.roots != VENDOR_ROOTS and case.evidence.variant.technologies - {Technology.TPM}:
        findings.warn("other keys than those of AMD and Intel were believed")
    if case.policy.measurements and not case.policy.enforced:
        findings.warn("no register is enforced: any image is accepted")
    elif open_registers := _open_registers(case):
        findings.warn(f"registers that are not enforced: {', '.join(open_registers)}")


def _open_registers(case: Case) -> list[str]:
    """Registers that say which image booted, and that the policy leaves open."""
    wanted = case.evidence.variant.default_registers.items()
    return [name for name, use in wanted if use is RegisterPolicy.ENFORCED and name not in case.policy.enforced]
