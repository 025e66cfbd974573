# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation evidence verify`: is this evidence genuine, and is it acceptable?"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from constellation_cli.arguments import (
    Binding,
    ClusterId,
    MarkChoice,
    Nonce,
    Time,
    VariantOption,
    choose_binding,
    choose_mark,
)
from constellation_cli.errors import ExitStatus
from constellation_cli.output import Output, OutputFormat, Table, emit
from constellation_cli.terminal import say

if TYPE_CHECKING:
    from collections.abc import Iterable

    from attestation.verdict import Verdict

EXAMPLES: Final = (
    "constellation evidence verify --policy policy.yaml --binding $CHALLENGE evidence.json",
    "constellation evidence verify --policy policy.yaml report.bin vcek.der",
    "constellation evidence verify --policy policy.yaml --at 2025-01-31T12:00:00Z -o json old-evidence.json",
)


def verify_files(  # noqa: PLR0913, PLR0917 - one parameter an option
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE", help="One file of evidence, or its parts in any order; - for stdin."),
    ],
    policy: Annotated[Path, typer.Option(metavar="FILE", help="What is acceptable: JSON or YAML.")],
    variant: VariantOption = None,
    binding: Binding = None,
    nonce: Nonce = None,
    cluster_id: ClusterId = None,
    mark: Annotated[
        MarkChoice | None,
        typer.Option(help="Accept nodes of no cluster yet (none, the default) or of any; see also --cluster-id."),
    ] = None,
    at: Time = None,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Judge evidence by a policy, and list every reason against it.

    The evidence is one file that `constellation evidence collect` wrote, or its parts: an SNP report with its VCEK or
    VLEK certificate (and the chain above it), a TDX quote, an Azure HCL report, a TPM quote with its signature, public
    area and register values, a boot event log.

    Without --binding or --nonce nobody knows whether the evidence is fresh, and the verdict warns of it.

    Exit status: 0 accepted, 2 not accepted, 1 a file cannot be read, 64 wrong command line.
    """
    from attestation import Mark, judge
    from constellation_cli.evidence.assemble import assemble
    from constellation_cli.policy.file import load_policy

    expected_binding = choose_binding(binding, nonce, cluster_id)
    expected_mark = choose_mark(mark, cluster_id)
    loaded = load_policy(policy, variant)
    if nonce is not None and loaded.variant.mark_register is None:
        expected_mark = Mark.ANY  # no register holds a mark, but the binding made of the nonce holds the cluster ID
    evidence = assemble(files, loaded.variant)
    time = at if at is not None else datetime.now(UTC)
    verdict = judge(evidence, loaded, binding=expected_binding, mark=expected_mark, at=time)
    emit(output, verdict.to_mapping(), lambda: _tables(verdict))
    if not verdict.accepted:
        hints = dict.fromkeys(mismatch.hint for mismatch in verdict.mismatches if mismatch.hint)
        for hint in (*hints, "`constellation evidence inspect` shows what the evidence says"):
            say("hint", hint, colour="cyan")
        raise typer.Exit(ExitStatus.REFUSED)


def _tables(verdict: Verdict) -> Iterable[Table]:
    variant = verdict.evidence.variant
    answer = "accepted" if verdict.accepted else "NOT ACCEPTED"
    yield Table(f"{answer}: evidence of variant {variant}", tuple(_summary(verdict)))
    if verdict.mismatches:
        rows = tuple((mismatch.name, mismatch.expected, mismatch.got) for mismatch in verdict.mismatches)
        yield Table("reasons", rows, ("name", "expected", "got"))
    if verdict.warnings:
        yield Table("warnings", tuple((warning,) for warning in verdict.warnings))


def _summary(verdict: Verdict) -> Iterable[tuple[str, str]]:
    record = verdict.to_mapping()
    yield "genuine", "yes" if verdict.genuine else "no"
    yield "vouched for by", " → ".join(verdict.vouchers) or "nobody"
    yield "hardware root", record["hardware_root"]
    yield "identity", f"{record['identity']} ({record['identity_kind']})" if record["identity"] else "none"
    yield "judged as of", f"{verdict.at:%Y-%m-%dT%H:%M:%SZ}"
    for name, components in record["tcb"].items():
        yield f"{name} TCB", ", ".join(f"{component} {version}" for component, version in components.items())
