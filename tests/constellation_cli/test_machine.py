# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""On what do we run?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from attestation.variant import Variant
from constellation_cli.errors import CommandError
from constellation_cli.evidence.machine import detect_variant

if TYPE_CHECKING:
    from pathlib import Path


def machine(root: Path, maker: str, product: str, *devices: str) -> Path:
    names = root / "sys" / "class" / "dmi" / "id"
    names.mkdir(parents=True)
    (names / "sys_vendor").write_text(f"{maker}\n")
    (names / "product_name").write_text(f"{product}\n")
    (root / "dev").mkdir()
    for device in devices:
        (root / "dev" / device).touch()
    return root


@pytest.mark.parametrize(
    "maker, product, devices, variant",
    [
        ("QEMU", "Standard PC", ["tpmrm0"], Variant.QEMU_VTPM),
        ("QEMU", "Standard PC", ["sev-guest", "tpmrm0"], Variant.QEMU_SNP),
        ("Supermicro", "", ["tdx_guest"], Variant.QEMU_TDX),
        ("OpenStack Foundation", "OpenStack Nova", ["tpmrm0"], Variant.OPENSTACK_VTPM),
        ("Red Hat", "OpenStack Compute", ["tpmrm0"], Variant.OPENSTACK_VTPM),
        ("Amazon EC2", "m6a.large", ["sev-guest", "tpmrm0"], Variant.AWS_SEV_SNP),
        ("Amazon EC2", "m7i.large", ["tpmrm0"], Variant.AWS_NITRO_TPM),
        ("Google", "Google Compute Engine", ["sev-guest", "tpmrm0"], Variant.GCP_SEV_SNP),
        ("Google", "Google Compute Engine", ["tdx_guest", "tpmrm0"], Variant.GCP_TDX),
        ("Google", "Google Compute Engine", ["tpmrm0"], Variant.GCP_SEV_ES),
    ],
)
def test_devices_and_maker_say_the_variant(
    tmp_path: Path, maker: str, product: str, devices: list[str], variant: Variant
) -> None:
    assert detect_variant(machine(tmp_path, maker, product, *devices)) is variant


@pytest.mark.parametrize(
    "maker, devices, reason",
    [
        ("QEMU", [], "no device here signs evidence"),
        ("Microsoft Corporation", ["tpmrm0"], "on Azure the machine does not say its variant"),
        ("Amazon EC2", ["tdx_guest"], "Amazon EC2 with tdx is no variant that is known"),
    ],
)
def test_a_machine_that_does_not_say_enough(tmp_path: Path, maker: str, devices: list[str], reason: str) -> None:
    with pytest.raises(CommandError, match=reason) as caught:
        detect_variant(machine(tmp_path, maker, "", *devices))
    assert "--" in caught.value.hint


def test_a_machine_without_firmware_tables(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "tpmrm0").touch()
    assert detect_variant(tmp_path) is Variant.QEMU_VTPM
