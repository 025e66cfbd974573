# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Every example of the pages is valid in the real Terraform; those that need no cluster are applied."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from attestation.testing.node import FakeNode
from attestation.variant import Variant
from constellation_engine.node_image.signing import public_pem
from constellation_engine.testing.node_images import KEY, FakeImage
from tests.terraform_provider_constellation.real_terraform import EXAMPLES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.terraform_provider_constellation.real_terraform import Terraform

LAUNCH_DIGEST = "functions/snp_launch_digest.tf"  # wants real firmware, which is not part of the repository
PAGES = sorted(path.relative_to(EXAMPLES).as_posix() for path in EXAMPLES.glob("*/*.tf"))
VALID = [page for page in PAGES if page != LAUNCH_DIGEST]
SECRETS = {"TF_VAR_master_secret": "1a" * 32, "TF_VAR_salt": "2b" * 32}


@pytest.fixture
def place(terraform: Terraform, images: Path, monkeypatch: pytest.MonkeyPatch) -> Terraform:
    """A folder with all that examples speak of."""
    folder = terraform.folder
    monkeypatch.chdir(folder)  # where Terraform starts providers
    for path in (images / "node", folder / "image", folder / "next-image"):
        FakeImage().write(path)
    (folder / "image.pub").write_bytes(public_pem(KEY))
    for name in ("vmlinuz", "initrd", "cmdline"):
        (folder / "image" / name).write_bytes(b"x")
    (folder / "evidence.json").write_bytes(FakeNode(Variant.QEMU_VTPM).evidence(bytes(32)).to_json())
    terraform.environment |= SECRETS
    return terraform


def take(terraform: Terraform, page: str) -> None:
    """Make an example the configuration."""
    terraform.write((EXAMPLES / page).read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", VALID)
def test_it_is_valid(place: Terraform, page: str) -> None:
    take(place, page)
    assert [problem["summary"] for problem in place.problems()] == []


@pytest.mark.parametrize("page", PAGES)
def test_it_is_formatted(terraform: Terraform, page: str) -> None:
    assert terraform.run("fmt", "-check", str(EXAMPLES / page)).status == 0


@pytest.mark.parametrize(
    "page",
    [
        "data-sources/constellation_attestation.tf",
        "data-sources/constellation_image.tf",
        "ephemeral-resources/constellation_master_secret.tf",
        "functions/cluster_id.tf",
        "functions/measurements_from_manifest.tf",
        "functions/measurements_merge.tf",
    ],
)
def test_it_works_twice_where_it_needs_no_cluster(place: Terraform, page: str) -> None:
    take(place, page)
    result = place.apply()
    assert result.status == 0, result.text
    assert not place.differs()


@pytest.mark.parametrize(
    "page",
    [
        "ephemeral-resources/constellation_kubeconfig.tf",
        "resources/constellation_cluster.tf",
        "resources/constellation_join_config.tf",
        "resources/constellation_local_machines.tf",
    ],
)
def test_it_can_be_planned_where_it_makes_a_cluster(place: Terraform, page: str) -> None:
    take(place, page)
    result = place.run("plan", "-var=kubeconfig_path=admin.conf" if "join_config" in page else "-refresh=true")
    assert result.status == 0, result.text
    assert "0 to change, 0 to destroy" in result.text


def test_evidence_is_read(place: Terraform) -> None:
    take(place, "functions/parse_evidence.tf")
    assert place.apply().status == 0
    assert len(place.outputs()["booted"]) == 64


def test_a_launch_digest_is_predicted(place: Terraform, vectors: Path) -> None:
    firmware = vectors / "virtee__sev-snp-measure/tests/fixtures/ovmf_AmdSev_suffix.bin"
    shutil.copy(firmware, place.folder / "OVMF.amdsev.fd")
    take(place, LAUNCH_DIGEST)
    assert place.apply().status == 0
    assert len(place.outputs()["launch_digest"]) == 96
