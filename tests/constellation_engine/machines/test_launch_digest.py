# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Launch digests of SEV-SNP, compared with the vectors that sev-snp-measure publishes."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from constellation_engine.errors import MachineSpecError, MissingProgramError
from constellation_engine.machines import DirectBoot, LaunchManifest, VcpuModel, key_digest
from constellation_engine.machines.launch_digest import Processors, launch_digests

FIXTURES = Path("virtee__sev-snp-measure", "tests", "fixtures")
NOTHING = Path("/dev/null")
BOOT = DirectBoot(NOTHING, NOTHING, "")
ONE = Processors(1, VcpuModel.MILAN)
MANIFEST = LaunchManifest(uid="ü", name="node-0", role="worker", node_group="g", image_key="00" * 32)


@pytest.fixture
def firmware(vectors: Path) -> Path:
    """The end of an AmdSev build of OVMF."""
    return vectors / FIXTURES / "ovmf_AmdSev_suffix.bin"


@pytest.mark.parametrize(
    "command_line,number,published",
    [
        (
            "console=ttyS0 loglevel=7",
            1,
            "6d287813eb5222d770f75005c664e34c204f385ce832cc2ce7d0d6f354454362f390ef83a92046c042e706363b4b08fa",
        ),
        (
            "",
            4,
            "5061fffb019493a903613d56d54b94912a1a2f9e4502385f5c194616753720a92441310ba6c4933de877c36e23046ad5",
        ),
    ],
)
def test_digests_are_those_that_are_published(firmware: Path, command_line: str, number: int, published: str) -> None:
    boot = replace(BOOT, command_line=command_line)
    digests = launch_digests(firmware, boot, [Processors(number, VcpuModel.EPYC_V4)])
    assert digests == {Processors(number, VcpuModel.EPYC_V4): bytes.fromhex(published)}


def test_each_number_and_model_of_processors_has_its_own(firmware: Path) -> None:
    processors = [Processors(number, model) for number in (1, 2, 4) for model in VcpuModel]
    digests = launch_digests(firmware, BOOT, processors)
    assert len(digests) == len(set(digests.values())) == 3 * len(VcpuModel)
    assert {len(digest) for digest in digests.values()} == {48}


def test_everything_that_is_booted_counts(firmware: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"other")
    boots = [BOOT, replace(BOOT, kernel=other), replace(BOOT, initrd=other), replace(BOOT, command_line="other")]
    digests = {launch_digests(firmware, boot, [ONE])[ONE] for boot in boots}
    assert len(digests) == 4


def test_firmware_that_does_not_measure_the_kernel_is_refused(vectors: Path) -> None:
    firmware = vectors / FIXTURES / "ovmf_OvmfX64_suffix.bin"
    with pytest.raises(MachineSpecError, match="SNP_KERNEL_HASHES") as caught:
        launch_digests(firmware, BOOT, [ONE])
    assert "ovmf-amdsev" in caught.value.hint


@pytest.mark.parametrize("content", [b"", b"no firmware", bytes(4096)])
def test_what_is_no_firmware_is_refused(tmp_path: Path, content: bytes) -> None:
    firmware = tmp_path / "firmware"
    firmware.write_bytes(content)
    with pytest.raises(MachineSpecError, match="no launch digest"):
        launch_digests(firmware, BOOT, [ONE])


def test_a_kernel_that_is_not_there_is_refused(firmware: Path) -> None:
    boot = replace(BOOT, kernel=Path("/nowhere"))
    with pytest.raises(MachineSpecError, match="/nowhere"):
        launch_digests(firmware, boot, [ONE])


def test_without_the_extra_it_says_what_to_install(firmware: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sevsnpmeasure", None)
    with pytest.raises(MissingProgramError) as caught:
        launch_digests(firmware, BOOT, [ONE])
    assert "[build]" in caught.value.hint


def test_the_launch_manifest_is_canonical_json() -> None:
    document = MANIFEST.document().decode()
    assert list(json.loads(document)) == ["image_key", "name", "node_group", "role", "uid"]
    assert " " not in document
    assert '"uid":"ü"' in document  # RFC 8785 § 3.2.2.2 writes out what JSON need not escape


def test_host_data_is_the_digest_of_the_launch_manifest() -> None:
    assert MANIFEST.host_data() == hashlib.sha256(MANIFEST.document()).digest()
    assert MANIFEST.host_data() != replace(MANIFEST, role="control-plane").host_data()


def test_a_key_has_one_digest_however_it_is_written() -> None:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    again = load_pem_public_key(pem.replace(b"\n", b"\r\n"))
    assert isinstance(again, ec.EllipticCurvePublicKey)
    assert key_digest(key) == key_digest(again)
