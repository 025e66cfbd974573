# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`join-config.yaml`: it accepts what it says, it is refused as a whole when a part of it is wrong."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from attestation.errors import AttestationError
from attestation.policy import Policy
from attestation.variant import Variant
from constellation_core.errors import ConfigError
from constellation_core.image_manifest import ImageManifest, SignedManifest, sign
from constellation_core.join_config import MAX_IMAGES, MAX_SIZE, ControlPlanes, JoinConfig
from constellation_core.strict_yaml import dump_yaml

REGISTER = {"expected": "04" * 32, "enforced": True}
EXPLICIT: dict[str, Any] = {"version": 1, "policies": [{"variant": "qemu-vtpm", "measurements": {4: REGISTER}}]}
TCB = {"bootloader": 1, "tee": 0, "snp": 2, "microcode": 3}


@pytest.fixture(scope="module")
def image(manifest: ImageManifest, image_key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    """An entry of `images`."""
    signed = sign(manifest.to_document(), image_key)
    return {"document": signed.document.decode(), "signature": signed.signature_text}


@pytest.fixture(scope="module")
def by_image(image: dict[str, str], image_key_pem: str) -> dict[str, Any]:
    """A whole file."""
    return {"version": 1, "imageKey": image_key_pem, "images": [image]}


def read(record: dict[str, Any], **changes: object) -> JoinConfig:
    return JoinConfig.from_yaml(dump_yaml({**record, **changes}))


def refusal(record: dict[str, Any], **changes: object) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        read(record, **changes)
    assert str(caught.value).startswith("join-config")
    return caught.value


def test_an_image_is_a_policy(by_image: dict[str, Any], manifest: ImageManifest) -> None:
    config = read(by_image)
    assert config.policies == (manifest.policy({}),)
    assert config.variants == {Variant.QEMU_VTPM}


def test_the_rest_of_the_policy_goes_with_every_image_of_its_variant(by_image: dict[str, Any]) -> None:
    config = read(by_image, images=by_image["images"] * 2, policy={"qemu-vtpm": {"require_event_log": True}})
    assert [policy.require_event_log for policy in config.policies] == [True, True]


def test_policies_may_be_written_out() -> None:
    config = read(EXPLICIT)
    assert [policy.enforced for policy in config.policies] == [{"4": b"\x04" * 32}]


def test_images_and_policies_stand_side_by_side(by_image: dict[str, Any]) -> None:
    snp = {"variant": "qemu-snp", "launch_digests": ["ab" * 48], "minimum_tcb": TCB, "crl": "off"}
    config = read(by_image, policies=[snp])
    assert config.variants == {Variant.QEMU_VTPM, Variant.QEMU_SNP}
    assert [policy.variant for policy in config.policies_for(Variant.QEMU_SNP)] == [Variant.QEMU_SNP]
    assert config.policies_for(Variant.QEMU_TDX) == ()


def test_control_planes_are_bounded_without_being_told() -> None:
    assert read(EXPLICIT).control_planes == ControlPlanes(max=3, approval=False)


def test_control_planes() -> None:
    config = read(EXPLICIT, controlPlanes={"max": 5, "approval": True})
    assert config.control_planes == ControlPlanes(max=5, approval=True)


def test_what_is_written_is_read_back(by_image: dict[str, Any]) -> None:
    config = read(
        by_image,
        policy={"qemu-vtpm": {"require_event_log": True}},
        policies=EXPLICIT["policies"],
        controlPlanes={"max": 1},
    )
    assert JoinConfig.from_yaml(config.to_yaml()) == config


def test_a_document_stays_readable(by_image: dict[str, Any]) -> None:
    assert '\n      "image": "constellation 1.0.0",\n' in read(by_image).to_yaml()


@given(st.text(st.characters(codec="utf-8"), max_size=30))
def test_a_document_survives_byte_for_byte(
    manifest: ImageManifest, image_key: ec.EllipticCurvePrivateKey, image_key_pem: str, space: str
) -> None:
    """JSON allows white space anywhere; whatever YAML makes of it must not change a byte that was signed."""
    blank = "".join(character for character in space if character in " \t\r\n") + "\n \t\r\n "
    document = manifest.to_document().replace(b"\n", blank.encode())
    config = JoinConfig(image_key=image_key_pem, images=(sign(document, image_key),))
    assert JoinConfig.from_yaml(config.to_yaml()).images[0].document == document


def test_a_changed_image_is_refused(by_image: dict[str, Any], image: dict[str, str]) -> None:
    changed = {**image, "document": image["document"].replace("257.9", "257.8")}
    assert "image.signature" in str(refusal(by_image, images=[changed]))


def test_an_image_of_somebody_else_is_refused(by_image: dict[str, Any], manifest: ImageManifest) -> None:
    signed = sign(manifest.to_document(), ec.generate_private_key(ec.SECP256R1()))
    entry = {"document": signed.document.decode(), "signature": signed.signature_text}
    assert "image.signature" in str(refusal(by_image, images=[*by_image["images"], entry]))


def test_nobody_makes_one_around_the_verification(manifest: ImageManifest, image_key_pem: str) -> None:
    with pytest.raises(AttestationError, match=r"image\.signature"):
        JoinConfig(image_key=image_key_pem, images=(SignedManifest(manifest.to_document(), b""),))


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"version": 2}, "version: expected 1, got 2"),
        ({"version": "1"}, "version"),
        ({"version": True}, "version"),
        ({"policies": []}, "nobody could join"),
        ({"policies": {}}, "policies: expected a list"),
        ({"policies": [{}]}, "names no variant"),
        ({"policies": [{"variant": "qemu-vtpm"}]}, "lacks measurements"),
        ({"policies": [{"variant": "qemu-vtmp", "measurements": {4: REGISTER}}]}, "unknown variant 'qemu-vtmp'"),
        ({"policies": EXPLICIT["policies"] * 33}, "policies: expected a list with 0 to 32"),
        ({"policies": ["all"]}, "a policy is a mapping"),
        ({"images": [{"document": "{}"}]}, "images without imageKey"),
        ({"images": ["all"]}, "image: expected a mapping"),
        ({"images": [{"document": "{}", "signature": "?"}], "imageKey": "x"}, "expected base64"),
        ({"images": [{"document": 1, "signature": "AA=="}], "imageKey": "x"}, "document: expected a text"),
        ({"images": [{"documents": "{}"}]}, "unknown field 'documents'"),
        ({"imageKey": "x"}, "imageKey without images"),
        ({"imageKey": "x", "images": [{"document": "{}", "signature": ""}]}, "expected a public key of ECDSA P-256"),
        ({"policy": {"qemu-vtpm": {}}}, "policy for qemu-vtpm has no image"),
        ({"policy": {"qemu-vtmp": {}}}, "unknown variant 'qemu-vtmp'"),
        ({"policy": {"qemu-vtpm": []}}, "policy for qemu-vtpm: expected a mapping"),
        ({"policy": []}, "policy: expected a mapping"),
        ({"controlPlanes": {"max": 0}}, "max: expected a number from 1 to 7, got 0"),
        ({"controlPlanes": {"max": 8}}, "max: expected a number from 1 to 7, got 8"),
        ({"controlPlanes": {"max": True}}, "max"),
        ({"controlPlanes": {"max": "3"}}, "max"),
        ({"controlPlanes": {"approval": "yes"}}, "approval: expected true or false, got 'yes'"),
        ({"controlPlanes": {"maximum": 3}}, "unknown field 'maximum'"),
        ({"controlPlanes": None}, "controlPlanes: expected a mapping"),
        ({"controlplanes": {}}, "unknown field 'controlplanes'"),
        ({1: 2}, "unknown field 1"),
    ],
)
def test_a_wrong_part_refuses_the_whole(changes: dict[Any, object], reason: str) -> None:
    assert reason in str(refusal({**EXPLICIT, **changes}))


@pytest.mark.parametrize(
    "changes, hint",
    [
        ({"controlplanes": {}}, "did you mean controlPlanes?"),
        ({"policy": {"qemu-vtmp": {}}}, "did you mean qemu-vtpm?"),
        ({"policies": [{"variant": "qemu-vtmp"}]}, "did you mean qemu-vtpm?"),
        ({"policies": [{"variant": "qemu-vtpm", "measurement": {}}]}, "did you mean measurements?"),
        ({"elsewhere": 1}, "known: version, imageKey, images, policy, policies, controlPlanes"),
    ],
)
def test_a_misspelt_name_is_answered_with_what_was_meant(changes: dict[str, object], hint: str) -> None:
    assert refusal(EXPLICIT, **changes).hint == hint


def test_a_policy_without_effect_on_its_image_is_refused(by_image: dict[str, Any]) -> None:
    error = refusal(by_image, policy={"qemu-vtpm": {"minimum_tcb": TCB}})
    assert "minimum_tcb has no effect on qemu-vtpm" in str(error)


def test_the_policy_cannot_weaken_an_image(by_image: dict[str, Any]) -> None:
    weaker = {"measurements": {4: {**REGISTER, "enforced": False}}}
    assert "measurements.4 is said by the image and by the policy" in str(
        refusal(by_image, policy={"qemu-vtpm": weaker})
    )


def test_images_are_counted(by_image: dict[str, Any]) -> None:
    assert "images: expected a list" in str(refusal(by_image, images=by_image["images"] * (MAX_IMAGES + 1)))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- 1\n",
        "version: 1\nversion: 1\n",
        "a: &a [1, 1]\nb: [*a, *a]\n",
        "!!python/object:os.system {}\n",
        "{" * 40,
        "version: 1\n---\nversion: 1\n",
        "version: 1\n" + " " * MAX_SIZE,
        "\ud800",
        "\x00",
    ],
    ids=["empty", "list", "twice", "alias", "tag", "deep", "two", "large", "surrogate", "nul"],
)
def test_what_is_no_plain_yaml_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        JoinConfig.from_yaml(text)


def test_a_config_does_not_change(by_image: dict[str, Any]) -> None:
    config = read(by_image, policy={"qemu-vtpm": {}})
    with pytest.raises(TypeError):
        config.rest[Variant.QEMU_SNP] = {}  # type: ignore[index]


def test_equal_policies_make_equal_configs() -> None:
    config = read(EXPLICIT)
    assert config == replace(config)
    assert config.explicit == (Policy.from_mapping(EXPLICIT["policies"][0]),)


@given(st.text(max_size=100) | st.text("{}[]:,-#&*!|>'\"version1 \n", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ConfigError):
        JoinConfig.from_yaml(text)


@given(cut=st.integers(0, 10**6), inserted=st.text(max_size=3))
def test_a_damaged_file_is_read_or_refused(by_image: dict[str, Any], cut: int, inserted: str) -> None:
    text = dump_yaml(by_image)
    cut %= len(text)
    for damaged in (text[:cut], text[:cut] + inserted + text[cut:], text[:cut] + inserted + text[cut + 1 :]):
        with contextlib.suppress(ConfigError):
            JoinConfig.from_yaml(damaged)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inside: (
        st.lists(inside, max_size=2) | st.dictionaries(st.text(max_size=5) | st.integers(), inside, max_size=2)
    ),
    max_leaves=4,
)


@given(st.sampled_from(["version", "imageKey", "images", "policy", "policies", "controlPlanes"]), PLAIN)
def test_a_field_of_any_shape_is_read_or_refused(name: str, value: object) -> None:
    with contextlib.suppress(ConfigError):
        read(EXPLICIT, **{name: value})
