# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Evidence that is taken apart into files is put together again, on every variant."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from attestation.azure.hcl import ReportType, build_hcl
from attestation.testing.node import FakeNode
from attestation.variant import Variant
from constellation_cli.evidence.assemble import assemble

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from attestation.evidence import Evidence

BINDING = bytes(range(32))
REAL = [variant for variant in Variant if variant is not Variant.INSECURE]


def parts_of(evidence: Evidence) -> Iterator[tuple[str, bytes]]:
    """Write every part as the tools of its platform do."""
    platform = dict(evidence.platform)
    runtime_data = platform.pop("runtime_data", None)
    if runtime_data is not None:
        kind, report = (ReportType.SNP, evidence.snp.report) if evidence.snp else (ReportType.TDX, bytes(1024))
        yield "hcl", build_hcl(kind, report, runtime_data)
    elif evidence.snp is not None:
        yield "report", evidence.snp.report
    if evidence.snp is not None:
        yield from ((f"amd{index}", der) for index, der in enumerate(reversed(evidence.snp.certificates)))
    if evidence.tdx is not None:
        yield "td-quote", evidence.tdx.quote
    if evidence.tpm is not None:
        tpm = evidence.tpm
        yield from {"quote": tpm.attest, "signature": tpm.signature, "ak": tpm.ak_public, "log": tpm.event_log}.items()
        yield "pcrs", json.dumps({str(index): value.hex() for index, value in tpm.pcrs.items()}).encode()
    yield from platform.items()


@pytest.fixture(params=REAL, ids=str)
def evidence(request: pytest.FixtureRequest) -> Evidence:
    """Complete evidence of a node made of software."""
    return FakeNode(request.param).evidence(BINDING)


def test_the_parts_make_the_same_evidence(evidence: Evidence, tmp_path: Path) -> None:
    for name, data in parts_of(evidence):
        (tmp_path / name).write_bytes(data)
    assert assemble(sorted(tmp_path.iterdir()), evidence.variant) == evidence


def test_the_whole_is_the_same_evidence(evidence: Evidence, tmp_path: Path) -> None:
    (tmp_path / "evidence.json").write_bytes(evidence.to_json())
    assert assemble([tmp_path / "evidence.json"], evidence.variant) == evidence
