# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Real boots of real stubs and kernels with a TPM: the registers are the predicted ones, bit by bit."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from attestation.measured_boot.cpio import extra_archive
from attestation.measured_boot.predict import predict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Boot = Callable[[bytes], dict[int, bytes]]
    Image = Callable[[str, Mapping[str, bytes]], bytes]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

TEST_KEY, TEST_CERTIFICATE = (Path("/usr/share/ovmf", f"PkKek-1-snakeoil.{suffix}") for suffix in ("key", "pem"))
TEST_PASSWORD = "snakeoil"

SECTIONS = {
    ".osrel": b"ID=test\nVERSION_ID=1\n",
    ".cmdline": b"console=ttyS0\tpanic=-1 \n",
    ".uname": b"6.1.0-test",
}
MORE_SECTIONS = {
    ".splash": b"no bitmap",
    ".pcrsig": b'{"sha256": []}',
    ".pcrpkey": b"-----BEGIN PUBLIC KEY-----\n",
    ".ucode": extra_archive("microcode", b"none"),
    ".hwids": bytes(40),
}


def assert_predicted(registers: Mapping[int, bytes], image: bytes, *, secure_boot: bool = False) -> None:
    predicted = predict(image, secure_boot=secure_boot).registers
    assert {index: registers[index].hex() for index in predicted} == {
        index: value.hex() for index, value in predicted.items()
    }


@pytest.mark.parametrize(
    "codename, stub, sections",
    [
        ("bookworm", "252", {}),
        ("bookworm", "252", {name: MORE_SECTIONS[name] for name in (".pcrsig", ".pcrpkey")}),
        ("trixie", "257", {}),
        ("trixie", "257", MORE_SECTIONS),
    ],
)
def test_a_boot_leaves_the_predicted_registers(
    image: Image, boot: Boot, codename: str, stub: str, sections: Mapping[str, bytes]
) -> None:
    file = image(codename, {**SECTIONS, **sections})
    assert predict(file).stub.startswith(stub)
    assert_predicted(boot(file), file)


def test_firmware_does_not_pad_what_it_measures(image: Image, boot: Boot) -> None:
    file = image("trixie", SECTIONS) + b"odd"
    assert_predicted(boot(file), file)


def test_the_image_decides_that_there_is_no_command_line(image: Image, boot: Boot) -> None:
    file = image("trixie", {".osrel": SECTIONS[".osrel"]})
    assert_predicted(boot(file), file)


def test_another_command_line_gives_another_register_9(image: Image, boot: Boot) -> None:
    file, other = (image("trixie", {**SECTIONS, ".cmdline": line}) for line in (b"console=ttyS0", b"console=ttyS0 rw"))
    assert boot(other)[9] != predict(file).registers[9]


def test_under_secure_boot_the_kernel_is_not_in_register_4(image: Image, secure_boot: Boot, tmp_path: Path) -> None:
    file = sign(image("trixie", SECTIONS), tmp_path)
    assert_predicted(secure_boot(file), file, secure_boot=True)


def sign(image: bytes, folder: Path) -> bytes:
    """Sign with the key that the firmware of the test machine believes."""
    if shutil.which("osslsigncode") is None or not TEST_KEY.exists():
        pytest.skip("osslsigncode or Debian's test key (package ovmf) is not installed: the image cannot be signed")
    unsigned, signed = folder / "unsigned.efi", folder / "signed.efi"
    unsigned.write_bytes(image)
    key = ["-key", str(TEST_KEY), "-pass", TEST_PASSWORD, "-certs", str(TEST_CERTIFICATE)]
    command = ["osslsigncode", "sign", "-h", "sha256", *key, "-in", str(unsigned), "-out", str(signed)]
    subprocess.run(command, check=True, capture_output=True)
    return signed.read_bytes()
