# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`data.constellation_attestation`: nothing is acceptable that the right one did not sign."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from attestation.policy import Policy
from constellation_engine.node_image.signing import public_pem
from constellation_engine.testing.node_images import KEY, OTHER_KEY

if TYPE_CHECKING:
    from constellation_engine.node_image.image_folder import ImageFolder
    from tests.terraform_provider_constellation.real_terraform import Terraform

IMAGE = 'data "constellation_image" "a" {}\n'
OF_IMAGE = "image = data.constellation_image.a.image"


def ask(terraform: Terraform, *arguments: str) -> None:
    body = "\n".join(arguments)
    outputs = "\n".join(
        f'output "{name}" {{\n  value = data.constellation_attestation.a.{name}\n}}'
        for name in ("attestation", "policy")
    )
    terraform.write(f'{IMAGE}data "constellation_attestation" "a" {{\n{body}\n}}\n{outputs}')


def keys(terraform: Terraform) -> None:
    (terraform.folder / "right.pub").write_bytes(public_pem(KEY))
    (terraform.folder / "other.pub").write_bytes(public_pem(OTHER_KEY))


def test_what_was_signed_is_acceptable(terraform: Terraform, image: ImageFolder) -> None:
    keys(terraform)
    ask(terraform, OF_IMAGE, 'public_key = file("right.pub")')
    assert terraform.apply().status == 0
    outputs = terraform.outputs()
    manifest = image.read_manifest()
    assert outputs["attestation"]["image"] == "constellation-node 0.1.0"
    assert outputs["attestation"]["measurements"]["11"] == {
        "expected": manifest.measurements["11"].expected.hex(),
        "warn_only": False,
    }
    assert Policy.from_mapping(json.loads(outputs["policy"])) == image.policy()
    assert not terraform.differs()


def test_a_manifest_without_an_image(terraform: Terraform, image: ImageFolder) -> None:
    keys(terraform)
    files = (
        f'manifest = file("{image.path}/measurements.json")',
        f'signature = file("{image.path}/measurements.json.sig")',
    )
    ask(terraform, *files, 'public_key = file("right.pub")')
    assert terraform.apply().status == 0
    assert terraform.outputs()["attestation"]["variant"] == "qemu-vtpm"


def test_the_key_beside_a_local_image_is_taken_where_none_is_named(terraform: Terraform, image: ImageFolder) -> None:
    ask(terraform, OF_IMAGE)
    assert terraform.apply().status == 0
    assert terraform.outputs()["attestation"]["public_key"] == (image.path / "image.pub").read_text()


@pytest.mark.usefixtures("image")
def test_a_signature_of_somebody_else_is_an_error(terraform: Terraform) -> None:
    keys(terraform)
    ask(terraform, OF_IMAGE, 'public_key = file("other.pub")')
    text = terraform.run("plan").text
    assert "Error: The signature of the manifest does not hold" in text
    assert "image.signature: expected a signature by the image key" in text


def test_a_changed_manifest_is_an_error(terraform: Terraform, image: ImageFolder) -> None:
    path = image.path / "measurements.json"
    path.write_bytes(path.read_bytes().replace(b"0.1.0", b"0.1.1"))
    ask(terraform, OF_IMAGE)
    assert "Error: The signature of the manifest does not hold" in terraform.run("plan").text


@pytest.mark.usefixtures("image")
@pytest.mark.parametrize(
    "arguments, message",
    [
        ((OF_IMAGE, 'public_key = "no key"'), "Expected a public key of ECDSA P-256 in PEM"),
        ((OF_IMAGE, "minimum_tcb = { snp = 1 }"), "minimum_tcb has no effect on qemu-vtpm"),
        ((OF_IMAGE, "extra_policy = jsonencode({ surprise = 1 })"), "unknown field 'surprise'"),
        ((OF_IMAGE, 'extra_policy = jsonencode({ variant = "qemu-snp" })'), "policy for qemu-snp cannot go with"),
        (
            (OF_IMAGE, 'extra_policy = jsonencode({ measurements = { 4 = { expected = "", enforced = true } } })'),
            "is said by the image and by the policy",
        ),
    ],
)
def test_what_is_no_policy_is_told(terraform: Terraform, arguments: tuple[str, ...], message: str) -> None:
    ask(terraform, *arguments)
    result = terraform.run("plan")
    assert result.status == 1
    assert message.lower() in result.text.lower()
    assert "Traceback" not in result.text
