# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Firmware is found where distributions put it, by what they say of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from constellation_engine.errors import MissingProgramError
from constellation_engine.machines.firmware import Firmware, find_ovmf, find_snp_ovmf, firmware_of

if TYPE_CHECKING:
    from pathlib import Path


def description(folder: Path, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - any part of a description
    """Describe a firmware that fits; its files are there."""
    for name in ("code", "variables"):
        (folder / name).write_bytes(b"firmware")
    return {
        "interface-types": ["uefi"],
        "mapping": {
            "device": "flash",
            "executable": {"filename": str(folder / "code"), "format": "raw"},
            "nvram-template": {"filename": str(folder / "variables"), "format": "raw"},
        },
        "targets": [{"architecture": "x86_64", "machines": ["pc-i440fx-*", "pc-q35-*"]}],
        "features": ["acpi-s3", "amd-sev"],
        **changes,
    }


def write(folder: Path, name: str, content: object) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(content))
    return folder


def test_firmware_is_found_by_its_description(tmp_path: Path) -> None:
    place = write(tmp_path / "firmware", "60.json", description(tmp_path))
    assert find_ovmf([place], []) == Firmware(tmp_path / "code", tmp_path / "variables")


@pytest.mark.parametrize(
    "change",
    [
        {"features": ["secure-boot"]},
        {"features": ["requires-smm"]},
        {"features": ["enrolled-keys"]},
        {"interface-types": ["bios"]},
        {"targets": [{"architecture": "aarch64", "machines": ["virt-*"]}]},
        {"targets": [{"architecture": "x86_64", "machines": ["microvm"]}]},
        {"mapping": {"device": "memory", "filename": "/code"}},
        {"mapping": {"device": "flash", "mode": "stateless", "executable": {"filename": "/code"}}},
        {"mapping": {}},
        {"targets": None},
    ],
)
def test_firmware_that_does_not_fit_is_passed_over(tmp_path: Path, change: dict[str, Any]) -> None:
    place = write(tmp_path / "firmware", "60.json", description(tmp_path, **change))
    with pytest.raises(MissingProgramError):
        find_ovmf([place], [])


def test_the_first_that_fits_is_taken(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    place = write(tmp_path / "firmware", "50.json", description(tmp_path / "one"))
    write(place, "60.json", description(tmp_path / "two"))
    assert find_ovmf([place], []).code == tmp_path / "one" / "code"


def test_an_administrators_description_hides_the_distributions(tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    etc = write(tmp_path / "etc", "60.json", description(tmp_path / "ours"))
    usr = write(tmp_path / "usr", "60.json", description(tmp_path))
    assert find_ovmf([etc, usr], []).code == tmp_path / "ours" / "code"


def test_a_description_of_files_that_are_not_there_is_passed_over(tmp_path: Path) -> None:
    place = write(tmp_path / "firmware", "60.json", description(tmp_path))
    (tmp_path / "variables").unlink()
    with pytest.raises(MissingProgramError):
        find_ovmf([place], [])


def test_known_places_serve_where_nothing_is_described(tmp_path: Path) -> None:
    description(tmp_path)
    known = [("/nowhere", "/nowhere"), (str(tmp_path / "code"), str(tmp_path / "variables"))]
    assert find_ovmf([tmp_path / "none"], known).code == tmp_path / "code"


def test_without_firmware_it_says_what_to_install() -> None:
    with pytest.raises(MissingProgramError) as caught:
        find_ovmf([], [])
    assert "ovmf (Debian), edk2-ovmf (Fedora, Arch)" in caught.value.hint


def test_without_firmware_for_snp_it_says_what_to_install() -> None:
    with pytest.raises(MissingProgramError, match="SEV-SNP") as caught:
        find_snp_ovmf([])
    assert "ovmf-amdsev" in caught.value.hint


def test_firmware_for_snp_has_no_variables(tmp_path: Path) -> None:
    description(tmp_path)
    assert find_snp_ovmf(["/nowhere", str(tmp_path / "code")]) == Firmware(tmp_path / "code", None)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.recursive(st.none() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_any_description_is_read_or_passed_over(tmp_path: Path, content: object) -> None:
    place = write(tmp_path / "firmware", "60.json", content)
    with pytest.raises(MissingProgramError):
        find_ovmf([place], [])


def test_a_machine_keeps_a_copy_of_its_own(tmp_path: Path) -> None:
    description(tmp_path)
    (tmp_path / "variables").write_bytes(b"QFI\xfb")
    machine = tmp_path / "machine"
    machine.mkdir()
    Firmware(tmp_path / "code", tmp_path / "variables").copy_to(machine)
    assert firmware_of(machine) == Firmware(machine / "firmware.raw", machine / "variables.qcow2")


def test_a_machine_that_lost_its_firmware_says_so(tmp_path: Path) -> None:
    with pytest.raises(MissingProgramError, match="expected the firmware"):
        firmware_of(tmp_path)
