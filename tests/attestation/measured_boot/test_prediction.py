# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Predictions: order and content of what is measured, and the record that is printed."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from attestation.errors import MalformedError, PredictionError
from attestation.measured_boot.pe import parse_executable
from attestation.measured_boot.predict import ZERO, Prediction, predict, predict_file
from attestation.policy import Policy
from attestation.testing.uki import PARTS, FakeUki, add_certificates

SYSTEMD_MEASURE = Path("/usr/lib/systemd/systemd-measure")
EVERYTHING = {**PARTS, ".ucode": b"ucode", ".splash": b"BM", ".dtb": b"dtb", ".pcrsig": b"{}", ".pcrpkey": b"PEM"}


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def extended(*digests: bytes) -> bytes:
    value = ZERO
    for digest in digests:
        value = sha256(value + digest)
    return value


def measured(prediction: Prediction, register: int) -> list[str]:
    return [extension.what for extension in prediction.extensions if extension.register == register]


def digest(prediction: Prediction, what: str) -> bytes:
    (found,) = (extension.digest for extension in prediction.extensions if extension.what == what)
    return found


def test_register_4_holds_what_the_firmware_started() -> None:
    image = FakeUki().build()
    action, separator = sha256(b"Calling EFI Application from Boot Option"), sha256(bytes(4))
    files = [parse_executable(file).authenticode() for file in (image, PARTS[".linux"])]
    assert predict(image).registers[4] == extended(action, separator, *files)


def test_under_secure_boot_the_firmware_does_not_measure_the_kernel() -> None:
    prediction = predict(FakeUki().build(), secure_boot=True)
    assert measured(prediction, 4)[-1] == "image"


def test_secure_boot_changes_only_register_4() -> None:
    off, on = (predict(FakeUki().build(), secure_boot=enforced).registers for enforced in (False, True))
    assert {index for index in off if off[index] != on[index]} == {4}


@pytest.mark.parametrize(
    "version, sections",
    [
        ("252", ".linux .osrel .cmdline .initrd .splash .dtb .pcrpkey"),
        ("253", ".linux .osrel .cmdline .initrd .splash .dtb .pcrpkey"),
        ("254", ".linux .osrel .cmdline .initrd .splash .dtb .uname .sbat .pcrpkey"),
        ("255", ".linux .osrel .cmdline .initrd .splash .dtb .uname .sbat .pcrpkey"),
        ("256", ".linux .osrel .cmdline .initrd .ucode .splash .dtb .uname .sbat .pcrpkey"),
        ("257", ".linux .osrel .cmdline .initrd .ucode .splash .dtb .uname .sbat .pcrpkey .hwids"),
    ],
)
def test_register_11_holds_the_sections_that_the_stub_knows(version: str, sections: str) -> None:
    prediction = predict(FakeUki(stub_version=version, sections={**EVERYTHING, ".hwids": b"ids"}).build())
    names = [what for name in sections.split() for what in (f"name {name}", f"section {name}")]
    assert measured(prediction, 11) == names


def test_a_section_is_measured_as_name_and_content() -> None:
    prediction = predict(FakeUki(stub_version="252", sections={".linux": PARTS[".linux"]}).build())
    assert prediction.registers[11] == extended(sha256(b".linux\0"), sha256(PARTS[".linux"]))


def test_the_order_of_the_file_does_not_matter_to_register_11() -> None:
    backwards = dict(reversed(list(PARTS.items())))
    assert predict(FakeUki(sections=backwards).build()).registers[11] == predict(FakeUki().build()).registers[11]


def test_phases_follow_in_register_11() -> None:
    image = FakeUki().build()
    before, after = predict(image), predict(image, phases="enter-initrd:leave-initrd")
    phases = (sha256(b"enter-initrd"), sha256(b"leave-initrd"))
    assert sha256(sha256(before.registers[11] + phases[0]) + phases[1]) == after.registers[11]


def test_phases_that_nobody_could_measure_are_refused() -> None:
    with pytest.raises(PredictionError, match="boot phases are ASCII"):
        predict(FakeUki().build(), phases="enter\udcff")


def test_register_9_holds_the_command_line_in_the_encoding_of_the_firmware() -> None:
    prediction = predict(FakeUki(sections={**PARTS, ".cmdline": b"quiet\n"}).build())
    assert digest(prediction, "command line") == sha256(b"q\0u\0i\0e\0t\0\0\0")


@pytest.mark.parametrize("size", [8, 9])
def test_an_initrd_alone_is_measured_as_it_is(size: int) -> None:
    initrd = b"i" * size
    prediction = predict(FakeUki(stub_version="252", sections={**PARTS, ".initrd": initrd}).build())
    assert digest(prediction, "initrd") == sha256(initrd)


def test_microcode_comes_before_the_initrd_and_both_are_padded() -> None:
    sections = {".linux": PARTS[".linux"], ".initrd": b"initrd", ".ucode": b"ucode"}
    prediction = predict(FakeUki(stub_version="256", sections=sections).build())
    assert digest(prediction, "initrd") == sha256(b"ucode\0\0\0initrd\0\0")


def test_a_stub_that_does_not_know_microcode_leaves_it_out() -> None:
    prediction = predict(FakeUki(stub_version="255", sections={**PARTS, ".ucode": b"ucode"}).build())
    assert digest(prediction, "initrd") == sha256(PARTS[".initrd"])


def test_an_image_without_command_line_and_initrd_leaves_register_9_zero() -> None:
    assert predict(FakeUki(stub_version="252", sections={".linux": PARTS[".linux"]}).build()).registers[9] == ZERO


def test_registers_that_nobody_extends_are_predicted_zero() -> None:
    registers = predict(FakeUki().build()).registers
    assert [registers[index] for index in (12, 13, 15)] == [ZERO] * 3


def test_signing_an_image_changes_no_register() -> None:
    image = FakeUki().build()
    assert predict(add_certificates(image, bytes(16))).registers == predict(image).registers


def test_the_record_is_json_and_its_measurements_make_a_policy() -> None:
    record = json.loads(json.dumps(predict(FakeUki().build()).to_mapping()))
    policy = Policy.from_mapping({"variant": "qemu-vtpm", "measurements": record["measurements"]})
    assert sorted(policy.enforced) == ["11", "12", "13", "4", "9"]


def test_the_record_says_what_it_was_made_from() -> None:
    image = FakeUki(stub_version="257.13-1~deb13u1").build()
    record = predict(image, phases="enter-initrd", secure_boot=True).to_mapping()
    shown = [record[key] for key in ("version", "uki_sha256", "stub", "command_line", "secure_boot", "phases")]
    expected = [1, sha256(image).hex(), "257.13-1~deb13u1", "console=ttyS0 panic=-1", True, "enter-initrd"]
    assert shown == expected


def test_no_register_is_both_predicted_and_only_recorded() -> None:
    record = predict(FakeUki().build()).to_mapping()
    assert not {*record["registers"]} & {*record["recorded_only"]}


def test_a_file_is_predicted_like_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "node.efi"
    path.write_bytes(FakeUki().build())
    assert predict_file(path) == predict(path.read_bytes())


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PredictionError, match=r"node\.efi cannot be read"):
        predict_file(tmp_path / "node.efi")


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "node.efi"
    path.touch()
    with pytest.raises(MalformedError, match="truncated"):
        predict_file(path)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PredictionError, match="cannot be read"):
        predict_file(tmp_path)


@pytest.mark.skipif(not SYSTEMD_MEASURE.exists(), reason="systemd-measure is not installed")
@pytest.mark.parametrize("phases", ["", "enter-initrd", "enter-initrd:leave-initrd:sysinit:ready"])
def test_systemd_measure_computes_the_same_register_11(tmp_path: Path, phases: str) -> None:
    parts = {name: PARTS[name] for name in (".linux", ".osrel", ".cmdline", ".initrd")}
    parts |= {".pcrpkey": b"-----BEGIN PUBLIC KEY-----\n", ".splash": b"BM"}
    for name, content in parts.items():
        (tmp_path / name).write_bytes(content)
    options = [f"--{name[1:]}={tmp_path / name}" for name in parts]
    command = [str(SYSTEMD_MEASURE), "calculate", "--bank=sha256", "--json=short", f"--phase={phases or ':'}", *options]
    shown = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    # The tool knows no .uname and no .sbat before 254, and these files hold none.
    prediction = predict(FakeUki(stub_version="252", sections=parts).build(), phases=phases)
    assert shown["sha256"][0]["hash"] == prediction.registers[11].hex()
