# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`provider::constellation::parse_evidence`: what a machine says about itself, without believing it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from terraform_provider_constellation.errors import blaming
from terraform_provider_constellation.plugin.api import Model, computed, function

if TYPE_CHECKING:
    from attestation.evidence import Evidence


class SnpSummary(Model):
    """What an AMD secure processor said."""

    measurement: str = computed("Launch digest, 96 hexadecimal digits.")
    report_data: str = computed("What the guest chose, 128 hexadecimal digits.")
    host_data: str = computed("What the host chose at launch, 64 hexadecimal digits.")
    chip_id: str = computed("Of the processor, 128 hexadecimal digits; zeros where the host masks it.")
    vmpl: int = computed("Privilege level of who asked.")
    debug: bool = computed("Whether the host may read the guest's memory.")


class TdxSummary(Model):
    """What Intel's quoting enclave said."""

    mr_seam: str = computed("Measurement of the TDX module, 96 hexadecimal digits.")
    td_attributes: str = computed("Attributes of the guest, 16 hexadecimal digits.")
    xfam: str = computed("Extended features of the guest, 16 hexadecimal digits.")
    report_data: str = computed("What the guest chose, 128 hexadecimal digits.")


class EvidenceSummary(Model):
    """What is in evidence."""

    variant: str = computed("The platform that it says to be of.")
    sha256: str = computed("Of its canonical form.")
    measurements: dict[str, str] = computed("Registers by name, hexadecimal.")
    platform: list[str] = computed("Names of what a cloud adds.")
    snp: SnpSummary | None = computed("Part of AMD SEV-SNP, if there is one.")
    tdx: TdxSummary | None = computed("Part of Intel TDX, if there is one.")


@function
def parse_evidence(
    evidence: Annotated[str, "JSON, as `constellation evidence collect` and `constellation verify --raw` write it."],
) -> EvidenceSummary:
    """Read evidence without judging it.

    Nothing is verified: whoever wrote the file may have said anything. Whether it is genuine and acceptable is what
    `constellation evidence verify` and `constellation_verification` say.
    """
    from attestation.evidence import Evidence  # noqa: PLC0415 - Terraform starts us often

    with blaming("evidence"):
        return _summary(Evidence.from_json(evidence.encode("utf-8", "surrogatepass")))


def _summary(evidence: Evidence) -> EvidenceSummary:
    pcrs = evidence.tpm.pcrs.items() if evidence.tpm else ()
    tdx, registers = _tdx(evidence)
    return EvidenceSummary(
        variant=evidence.variant.value,
        sha256=evidence.digest().hex(),
        measurements={str(index): value.hex() for index, value in pcrs} | registers,
        platform=sorted(evidence.platform),
        snp=_snp(evidence),
        tdx=tdx,
    )


def _snp(evidence: Evidence) -> SnpSummary | None:
    from attestation.snp.report import parse_report  # noqa: PLC0415 - as above

    if evidence.snp is None:
        return None
    report = parse_report(evidence.snp.report)
    return SnpSummary(
        measurement=report.measurement.hex(),
        report_data=report.report_data.hex(),
        host_data=report.host_data.hex(),
        chip_id=report.chip_id.hex(),
        vmpl=report.vmpl,
        debug=report.debug,
    )


def _tdx(evidence: Evidence) -> tuple[TdxSummary | None, dict[str, str]]:
    from attestation.tdx.quote import parse_quote  # noqa: PLC0415 - as above

    if evidence.tdx is None:
        return None, {}
    report = parse_quote(evidence.tdx.quote).report
    summary = TdxSummary(
        mr_seam=report.mr_seam.hex(),
        td_attributes=report.td_attributes.hex(),
        xfam=report.xfam.hex(),
        report_data=report.report_data.hex(),
    )
    return summary, {name: value.hex() for name, value in report.registers.items()}
