# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What an image measures is predicted, signed and made into a policy; and nothing is read that nobody signed."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from attestation.policy import Policy
from constellation_engine.node_image.image_folder import ImageFile
from constellation_engine.node_image.signing import public_pem
from constellation_engine.node_image.verification import verify_image
from constellation_engine.testing.node_images import KEY, OTHER_KEY, FakeImage
from tests.collection.modules.running import run_module

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric import ec

    from constellation_engine.node_image.image_folder import ImageFolder

needs_mtools = pytest.mark.skipif(not shutil.which("mcopy"), reason="mtools are missing: apt-get install mtools")


def write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> str:
    path.touch(mode=0o600)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return str(path)


@pytest.fixture
def image(tmp_path: Path) -> ImageFolder:
    return FakeImage().write(tmp_path / "image")


@pytest.fixture
def options(tmp_path: Path, image: ImageFolder) -> dict[str, Any]:
    key = write_key(tmp_path / "image.key", KEY)
    return {"image": str(image.path), "key": key, "policy": str(tmp_path / "policy.json")}


def test_what_is_signed_already_stays(tmp_path: Path, image: ImageFolder, options: dict[str, Any]) -> None:
    before = image.read(ImageFile.SIGNATURE)
    assert run_module("measurements", **options)["changed"]  # the policy is new
    again = run_module("measurements", **options)
    assert not again["changed"]
    assert image.read(ImageFile.SIGNATURE) == before
    kept = json.loads((tmp_path / "policy.json").read_text())
    assert kept == again["policy"]
    assert Policy.from_mapping(kept) == image.policy()


@needs_mtools
@pytest.mark.parametrize("file", [ImageFile.MEASUREMENTS, ImageFile.SIGNATURE])
def test_what_is_missing_is_predicted_and_signed(image: ImageFolder, options: dict[str, Any], file: ImageFile) -> None:
    expected = image.read(file)
    image.place(file).unlink()
    assert run_module("measurements", **options)["changed"]
    assert image.read(file) == expected
    assert verify_image(image, public_pem(KEY)).is_accepted


@needs_mtools
def test_a_false_prediction_is_replaced(image: ImageFolder, options: dict[str, Any]) -> None:
    other = FakeImage(command_line="console=tty0").manifest().to_document()
    image.place(ImageFile.MEASUREMENTS).write_bytes(other)
    predicted = run_module("measurements", check=True, **options)
    assert predicted["changed"]
    assert predicted["diff"][0]["before"] == other.decode()
    assert image.read(ImageFile.MEASUREMENTS) == other
    run_module("measurements", **options)
    assert verify_image(image, public_pem(KEY)).is_accepted
    assert image.read(ImageFile.MEASUREMENTS).decode() == predicted["diff"][0]["after"]


def test_what_others_publish_is_verified(tmp_path: Path, image: ImageFolder) -> None:
    (tmp_path / "builder.pub").write_bytes(public_pem(KEY))
    given: dict[str, Any] = {
        "manifest": str(image.place(ImageFile.MEASUREMENTS)),
        "public_key": str(tmp_path / "builder.pub"),
    }
    kept: dict[str, Any] = {"policy": str(tmp_path / "policy.json")}
    rest = {"measurements": {"7": {"expected": "ab" * 32, "enforced": True}}}
    answer = run_module("measurements", **given, **kept, policy_rest=rest)
    assert answer["policy"]["measurements"]["7"]["expected"] == "ab" * 32
    assert run_module("measurements_info", **given)["manifest"] == answer["manifest"]
    (tmp_path / "builder.pub").write_bytes(public_pem(OTHER_KEY))
    assert "signature" in run_module("measurements", **given, **kept)["msg"]
    assert "signature" in run_module("measurements_info", **given)["msg"]


def test_a_key_that_was_named_vouches(tmp_path: Path, image: ImageFolder) -> None:
    key = write_key(tmp_path / "image.key", KEY)
    assert not run_module("measurements_info", image=str(image.path))["vouched_for"]
    answer = run_module("measurements_info", image=str(image.path), public_key=key)
    assert answer["vouched_for"]
    assert answer["manifest"]["measurements"]["4"]["enforced"]
    assert "PRIVATE" not in str(answer)


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"image": None}, "image"),
        ({"image": "/nowhere"}, "/nowhere"),
        ({"manifest": "x"}, "mutually exclusive"),
        ({"key": None}, "key"),
        ({"key": "/nowhere.key"}, "/nowhere.key"),
        ({"image": None, "key": None, "manifest": "x"}, "public_key"),
        ({"image": None, "key": None, "policy": None, "manifest": "x", "public_key": "y"}, "policy"),
        ({"policy": "/proc/none/policy.json"}, "/proc/none/policy.json"),
        ({"policy_rest": {"nonsense": 1}}, "nonsense"),
        ({"cpus": [2]}, "cpu_models"),
        ({"cpus": [2], "cpu_models": ["Pentium"]}, "cpu_models"),
        ({"cpus": [0], "cpu_models": ["EPYC-Milan"]}, "Option cpus: expected numbers from 1 to 512"),
        ({"cpus": [2], "cpu_models": ["EPYC-Milan"], "firmware": "/f"}, "takes firmware and processors exactly where"),
        ({"firmware": "/f"}, "cpus"),
    ],
)
def test_what_is_wrong_is_named(options: dict[str, Any], changes: dict[str, Any], said: str) -> None:
    given = {name: value for name, value in {**options, **changes}.items() if value is not None}
    answer = run_module("measurements", **given)
    assert answer["failed"]
    assert said in answer["msg"]


def test_a_key_that_nodes_do_not_believe_signs_nothing(
    tmp_path: Path, image: ImageFolder, options: dict[str, Any]
) -> None:
    other = write_key(tmp_path / "other.key", OTHER_KEY)
    for check in (False, True):
        assert "built with" in run_module("measurements", check=check, **{**options, "key": other})["msg"]
    assert verify_image(image, public_pem(KEY)).is_accepted


@pytest.mark.parametrize(
    "arguments, said",
    [
        ({}, "image"),
        ({"image": "/nowhere"}, "/nowhere"),
        ({"manifest": "/nowhere.json"}, "public_key"),
        ({"manifest": "/nowhere.json", "public_key": "/nowhere.pub"}, "/nowhere"),
    ],
)
def test_what_is_wrong_with_a_question_is_named(arguments: dict[str, Any], said: str) -> None:
    answer = run_module("measurements_info", **arguments)
    assert answer["failed"]
    assert said in answer["msg"]
