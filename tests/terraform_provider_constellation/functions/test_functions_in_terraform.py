# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Functions, called by the real Terraform: what they give, and what they say of a wrong argument."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from attestation.insecure import InsecureIssuer
from constellation_core.keys.master_secret import MasterSecret
from constellation_core.keys.secret import Secret
from constellation_engine.machines import DirectBoot, VcpuModel
from constellation_engine.machines.launch_digest import Processors, launch_digests
from constellation_engine.node_image.signing import public_pem
from constellation_engine.testing.node_images import KEY, OTHER_KEY

if TYPE_CHECKING:
    from pathlib import Path

    from constellation_engine.node_image.image_folder import ImageFolder
    from tests.terraform_provider_constellation.real_terraform import Terraform

ONE, OTHER = "1a" * 32, "2b" * 32


def call(terraform: Terraform, expression: str) -> Any:  # noqa: ANN401 - whatever it gives
    terraform.write(f'output "a" {{\n  value = provider::constellation::{expression}\n}}')
    result = terraform.apply()
    assert result.status == 0, result.text
    return terraform.outputs()["a"]


def refusal(terraform: Terraform, expression: str) -> str:
    terraform.write(f'output "a" {{\n  value = provider::constellation::{expression}\n}}')
    result = terraform.run("plan")
    assert result.status == 1
    assert "Traceback" not in result.text
    return result.text


def registers(**values: tuple[str, bool]) -> str:
    entries = [
        f'"{name.strip("_")}" = {{ expected = "{value}", warn_only = {json.dumps(warn)} }}'
        for name, (value, warn) in values.items()
    ]
    return f"{{ {', '.join(entries)} }}"


class TestMeasurementsMerge:
    def test_different_registers_are_put_together(self, terraform: Terraform) -> None:
        merged = call(
            terraform, f"measurements_merge({registers(_4=(ONE, False))}, {registers(_0=(OTHER.upper(), True))})"
        )
        assert merged == {"0": {"expected": OTHER, "warn_only": True}, "4": {"expected": ONE, "warn_only": False}}

    def test_whoever_enforces_has_the_last_word(self, terraform: Terraform) -> None:
        loose, strict = registers(_4=(ONE, True)), registers(_4=(ONE, False))
        assert call(terraform, f"measurements_merge({strict}, {loose}, {loose})")["4"]["warn_only"] is False

    @pytest.mark.parametrize(
        "arguments, message",
        [
            (
                f"{registers(_4=(ONE, False))}, {registers(_4=(OTHER, False))}",
                f'"more" parameter: Register "4" is expected to be {ONE} and {OTHER}',
            ),
            (registers(_24=(ONE, False)), '"measurements" parameter: Expected registers 0 to 23'),
            (registers(_4=("1a", False)), 'Register "4": expected 64 or 96 hexadecimal digits, got 2 characters'),
            ("{ 4 = null }", 'Register "4": expected 64 or 96 hexadecimal digits, got nothing'),
            ("5", 'Invalid value for "measurements" parameter'),
        ],
    )
    def test_what_is_wrong_is_told(self, terraform: Terraform, arguments: str, message: str) -> None:
        assert message in refusal(terraform, f"measurements_merge({arguments})")


class TestMeasurementsFromManifest:
    def expression(self, image: ImageFolder, key: str) -> str:
        manifest = f"{image.path}/measurements.json"
        return f'measurements_from_manifest(file("{manifest}"), file("{manifest}.sig"), {key})'

    def test_what_was_signed_is_given(self, terraform: Terraform, image: ImageFolder) -> None:
        given = call(terraform, self.expression(image, f'file("{image.path}/image.pub")'))
        assert given["11"]["expected"] == image.read_manifest().measurements["11"].expected.hex()

    def test_another_key_is_refused(self, terraform: Terraform, image: ImageFolder, tmp_path: Path) -> None:
        (tmp_path / "other.pub").write_bytes(public_pem(OTHER_KEY))
        assert "expected a signature by the image key" in refusal(
            terraform, self.expression(image, 'file("other.pub")')
        )

    def test_no_key_is_refused(self, terraform: Terraform, image: ImageFolder) -> None:
        assert "expected a public key of ECDSA P-256" in refusal(terraform, self.expression(image, '"none"'))

    def test_no_base64_is_refused(self, terraform: Terraform) -> None:
        text = refusal(terraform, f'measurements_from_manifest("{{}}", "!", {json.dumps(public_pem(KEY).decode())})')
        assert '"signature" parameter: Image signature: expected base64' in text


class TestClusterId:
    def test_it_is_that_of_the_core(self, terraform: Terraform) -> None:
        master = MasterSecret(Secret(bytes.fromhex(ONE)), bytes.fromhex(OTHER))
        assert (
            call(terraform, f'cluster_id("{ONE}", "{OTHER}", "{ONE}")') == master.cluster_id(bytes.fromhex(ONE)).hex()
        )

    @pytest.mark.parametrize("index, name", [(0, "master_secret"), (1, "salt"), (2, "measurement_salt")])
    def test_a_wrong_argument_is_named_and_not_shown(self, terraform: Terraform, index: int, name: str) -> None:
        arguments = [f'"{ONE}"'] * 3
        arguments[index] = f'"{ONE[:-1]}x"'
        text = refusal(terraform, f"cluster_id({', '.join(arguments)})")
        assert f'"{name}" parameter: Expected 64 digits 0-9, a-f, got 64 characters' in text


class TestParseEvidence:
    def test_evidence_is_put_into_words(self, terraform: Terraform, tmp_path: Path) -> None:
        evidence = InsecureIssuer().issue(bytes(32))
        (tmp_path / "evidence.json").write_bytes(evidence.to_json())
        given = call(terraform, 'parse_evidence(file("evidence.json"))')
        assert (given["variant"], given["sha256"]) == ("insecure", evidence.digest().hex())
        assert given["snp"] is None

    def test_what_is_none_is_refused(self, terraform: Terraform) -> None:
        assert '"evidence" parameter: ' in refusal(terraform, 'parse_evidence("{}")')


class TestSnpLaunchDigest:
    @pytest.fixture
    def files(self, tmp_path: Path) -> None:
        for name in ("kernel", "initrd", "firmware"):
            (tmp_path / name).write_bytes(name.encode())

    def expression(self, folder: Path, **changed: object) -> str:
        given = {name: f'"{folder / name}"' for name in ("firmware", "kernel", "initrd")}
        given |= {"command_line": '"quiet"', "cpus": "2", "cpu_model": '"EPYC-Milan"'}
        return f"snp_launch_digest({', '.join(map(str, (given | changed).values()))})"

    @pytest.mark.usefixtures("files")
    def test_it_is_that_of_the_engine(self, terraform: Terraform, tmp_path: Path, vectors: Path) -> None:
        firmware = vectors / "virtee__sev-snp-measure/tests/fixtures/ovmf_AmdSev_suffix.bin"
        two = Processors(2, VcpuModel.MILAN)
        boot = DirectBoot(tmp_path / "kernel", tmp_path / "initrd", "quiet")
        expected = launch_digests(firmware, boot, [two])[two].hex()
        assert call(terraform, self.expression(tmp_path, firmware=f'"{firmware}"')) == expected

    @pytest.mark.usefixtures("files")
    @pytest.mark.parametrize(
        "changed, message",
        [
            ({"firmware": '"/nowhere"'}, '"firmware" parameter: Expected a file, there is none at /nowhere'),
            ({"kernel": '"/nowhere"'}, '"kernel" parameter: Expected a file'),
            ({"initrd": '"/nowhere"'}, '"initrd" parameter: Expected a file'),
            ({"cpus": "0"}, '"cpus" parameter: Expected 1 to 512, got 0'),
            ({"cpus": "1.5"}, '"cpus" parameter: Expected a whole number, got 1.5'),
            ({"cpu_model": '"486"'}, '"cpu_model" parameter: Expected one of EPYC-v4,'),
            ({}, "the firmware must be OVMF built from OvmfPkg/AmdSev"),
        ],
    )
    def test_what_is_wrong_is_told(
        self, terraform: Terraform, tmp_path: Path, changed: dict[str, str], message: str
    ) -> None:
        assert message in refusal(terraform, self.expression(tmp_path, **changed))

    @pytest.mark.usefixtures("files")
    def test_without_the_extra_it_says_what_to_install(
        self, terraform: Terraform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(__import__("sys").modules, "sevsnpmeasure", None)
        assert "pip install 'constellation-kubernetes[build]'" in refusal(terraform, self.expression(tmp_path))
