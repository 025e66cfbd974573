# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The signed manifest of an image: whose word it is, and what it may say."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from attestation.errors import AttestationError, MalformedError, NotGenuineError, PolicyError
from attestation.policy_fields import Register
from attestation.variant import Variant
from constellation_core.component_list import Component
from constellation_core.errors import ConfigError
from constellation_core.image_manifest import MAX_SIZE, ImageManifest, SignedManifest, image_keys, sign
from constellation_proto import attest_pb2

if TYPE_CHECKING:
    from pathlib import Path

RECORD: dict[str, Any] = {
    "version": 1,
    "image": "constellation 1.0.0",
    "variant": "qemu-snp",
    "measurements": {},
    "launch_digests": ["ab" * 48],
    "components": [{"name": "kubelet", "version": "1.36.4", "sha256": "cd" * 32}],
    "created": "2026-11-21T12:00:00Z",
    "stub": "257.9",
}


def document(**changes: object) -> bytes:
    return json.dumps({**RECORD, **changes}).encode()


def pem(key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey) -> str:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def test_what_is_signed_is_what_is_read(
    manifest: ImageManifest, image_key: ec.EllipticCurvePrivateKey, image_key_pem: str
) -> None:
    assert sign(manifest.to_document(), image_key).verify(image_key_pem) == manifest


def test_survives_disk_and_wire(manifest: ImageManifest, image_key: ec.EllipticCurvePrivateKey) -> None:
    signed = sign(manifest.to_document(), image_key)
    assert SignedManifest.from_text(signed.document, f"{signed.signature_text}\n") == signed
    assert SignedManifest.from_message(signed.to_message()) == signed


def test_an_empty_message_is_no_manifest() -> None:
    assert SignedManifest.from_message(attest_pb2.SignedManifest()) is None


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_the_signature_is_one_that_others_check(
    tmp_path: Path, manifest: ImageManifest, image_key: ec.EllipticCurvePrivateKey, image_key_pem: str
) -> None:
    signed = sign(manifest.to_document(), image_key)
    (tmp_path / "document").write_bytes(signed.document)
    (tmp_path / "signature").write_bytes(base64.b64decode(signed.signature_text))
    (tmp_path / "key.pem").write_text(image_key_pem)
    command = ["openssl", "dgst", "-sha256", "-verify", "key.pem", "-signature", "signature", "document"]
    assert subprocess.run(command, cwd=tmp_path, check=True, capture_output=True).stdout == b"Verified OK\n"


@given(position=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_a_changed_document_is_refused(
    manifest: ImageManifest,
    image_key: ec.EllipticCurvePrivateKey,
    image_key_pem: str,
    position: int,
    bit: int,
) -> None:
    changed = bytearray(manifest.to_document())
    changed[position % len(changed)] ^= 1 << bit
    with pytest.raises(NotGenuineError):
        replace(sign(manifest.to_document(), image_key), document=bytes(changed)).verify(image_key_pem)


@given(st.binary(max_size=80))
def test_an_invented_signature_is_refused(image_key_pem: str, signature: bytes) -> None:
    with pytest.raises(NotGenuineError):
        SignedManifest(document(), signature).verify(image_key_pem)


def test_another_signer_is_refused(manifest: ImageManifest, image_key_pem: str) -> None:
    mallory = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(NotGenuineError, match=r"image\.signature"):
        sign(manifest.to_document(), mallory).verify(image_key_pem)


def test_nothing_is_read_before_the_signature_holds(image_key_pem: str) -> None:
    with pytest.raises(NotGenuineError):
        SignedManifest(b"{", b"").verify(image_key_pem)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----\n",
        pem(ec.generate_private_key(ec.SECP384R1()).public_key()),
        pem(rsa.generate_private_key(65537, 2048).public_key()),
    ],
    ids=["none", "damaged", "P-384", "RSA"],
)
def test_only_ecdsa_p256_is_an_image_key(key: str) -> None:
    with pytest.raises(ConfigError, match=r"expected .*ECDSA P-256"):
        SignedManifest(document(), b"").verify(key)


def test_each_of_several_keys_may_have_signed(
    manifest: ImageManifest, image_key: ec.EllipticCurvePrivateKey, image_key_pem: str
) -> None:
    other = pem(ec.generate_private_key(ec.SECP256R1()).public_key())
    signed = sign(manifest.to_document(), image_key)
    assert signed.verify(other + image_key_pem) == signed.verify(f"# old, new\n{image_key_pem}\n{other}") == manifest
    with pytest.raises(NotGenuineError):
        signed.verify(other + other)


@pytest.mark.parametrize(
    "further",
    [
        pem(rsa.generate_private_key(65537, 2048).public_key()),
        pem(ec.generate_private_key(ec.SECP384R1()).public_key()),
        "-----BEGIN PUBLIC KEY-----\nMFkw",
        "-----BEGIN PUBLIC KEY-----\nnot base64!\n-----END PUBLIC KEY-----\n",
    ],
    ids=["RSA", "P-384", "cut off", "damaged"],
)
def test_no_key_of_several_is_skipped(
    manifest: ImageManifest, image_key: ec.EllipticCurvePrivateKey, image_key_pem: str, further: str
) -> None:
    signed = sign(manifest.to_document(), image_key)
    for keys in (image_key_pem + further, further + image_key_pem):
        with pytest.raises(ConfigError, match="image key: expected"):
            signed.verify(keys)


def test_not_everybody_is_an_image_key(manifest: ImageManifest, image_key: ec.EllipticCurvePrivateKey) -> None:
    own = pem(image_key.public_key())
    with pytest.raises(ConfigError, match="at most 4 keys, got 5"):
        sign(manifest.to_document(), image_key).verify(own * 5)


@given(st.binary(max_size=400))
def test_any_bytes_may_be_given_as_a_key(data: bytes) -> None:
    with pytest.raises(ConfigError):
        image_keys(b"-----BEGIN PUBLIC KEY-----" + data)


def test_nobody_signs_with_another_curve() -> None:
    with pytest.raises(ConfigError, match="secp384r1"):
        sign(document(), ec.generate_private_key(ec.SECP384R1()))


def test_nobody_signs_what_is_no_manifest(image_key: ec.EllipticCurvePrivateKey) -> None:
    with pytest.raises(MalformedError):
        sign(b"{}", image_key)


def test_a_signature_on_disk_is_base64() -> None:
    with pytest.raises(MalformedError, match="base64"):
        SignedManifest.from_text(document(), "not base64!")


def test_the_signature_stays_out_of_logs(manifest: ImageManifest, image_key: ec.EllipticCurvePrivateKey) -> None:
    assert "kubelet" not in repr(sign(manifest.to_document(), image_key))


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"version": 2}, "version: expected 1, got 2"),
        ({"version": True}, "version"),
        ({"image": ""}, "image"),
        ({"image": "a\nb"}, "image"),
        ({"variant": "qemu"}, "variant"),
        ({"variant": 1}, "variant"),
        ({"measurements": []}, "measurements: expected a mapping"),
        (
            {"measurements": {"4": {"expected": "00" * 32, "enforced": True}}},
            "measurements says nothing about qemu-snp",
        ),
        ({"launch_digests": ["ab" * 32]}, "launch_digests: expected 96"),
        ({"launch_digests": "ab" * 48}, "launch_digests"),
        ({"launch_digests": []}, "enforces nothing"),
        ({"components": {}}, "components: expected a list"),
        ({"components": [{"name": "kubelet"}]}, "component lacks version"),
        ({"components": [{"name": "../x", "version": "1", "sha256": "ab" * 32}]}, "the name of a program"),
        ({"components": [{"name": "x", "version": "", "sha256": "ab" * 32}]}, "a version"),
        ({"components": [{"name": "x", "version": "1", "sha256": "AB" * 32}]}, "64 digits"),
        ({"components": RECORD["components"] * 2}, "kubelet is there twice"),
        ({"created": "2026-11-21T12:00:00+01:00"}, "a time in UTC"),
        ({"created": "2026-02-30T12:00:00Z"}, "a time that exists"),
        ({"stub": "257 9"}, "stub"),
        ({"stub": None}, "stub"),
        ({"surprise": 1}, "unknown field 'surprise'"),
    ],
)
def test_a_wrong_field_is_refused(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(MalformedError, match=reason):
        ImageManifest.from_document(document(**changes))


@pytest.mark.parametrize("name", RECORD)
def test_a_missing_field_is_refused(name: str) -> None:
    record = {key: value for key, value in RECORD.items() if key != name}
    with pytest.raises(MalformedError, match=f"lacks .*{name}"):
        ImageManifest.from_document(json.dumps(record).encode())


def test_a_misspelt_field_is_named_with_what_was_meant() -> None:
    with pytest.raises(MalformedError) as caught:
        ImageManifest.from_document(document(launch_digest=[]))
    assert caught.value.hint == "did you mean launch_digests?"


def test_a_register_that_is_only_recorded_describes_no_image(manifest: ImageManifest) -> None:
    with pytest.raises(MalformedError, match="enforces nothing"):
        replace(manifest, measurements={"4": Register(bytes(32), enforced=False)})


def test_a_huge_document_is_refused() -> None:
    with pytest.raises(MalformedError, match="at most"):
        ImageManifest.from_document(document() + b" " * MAX_SIZE)


def test_policy_of_an_image(manifest: ImageManifest) -> None:
    policy = manifest.policy({"require_event_log": True})
    assert policy.variant is Variant.QEMU_VTPM
    assert policy.measurements == manifest.measurements
    assert policy.require_event_log


def test_the_policy_adds_registers_of_the_firmware(manifest: ImageManifest) -> None:
    policy = manifest.policy({"measurements": {7: {"expected": "07" * 32, "enforced": True}}})
    assert policy.enforced == {"4": bytes(32), "7": b"\x07" * 32}


def test_launch_digests_become_policy() -> None:
    tcb = {"bootloader": 1, "tee": 0, "snp": 2, "microcode": 3}
    policy = ImageManifest.from_document(document()).policy({"minimum_tcb": tcb, "crl": "off"})
    assert policy.launch_digests == (b"\xab" * 48,)


@pytest.mark.parametrize(
    "changes, rest, reason",
    [
        ({}, {"launch_digests": ["00" * 48]}, "launch_digests is said by the image and by the policy"),
        ({}, {"variant": "qemu-tdx"}, "qemu-tdx cannot go with"),
        ({}, {}, "lacks minimum_tcb"),
        ({}, {"minimum_tbc": {}}, "unknown field"),
    ],
)
def test_a_policy_that_does_not_go_with_the_image_is_refused(
    changes: dict[str, object], rest: dict[str, object], reason: str
) -> None:
    with pytest.raises(PolicyError, match=reason):
        ImageManifest.from_document(document(**changes)).policy(rest)


@pytest.mark.parametrize("measurements", [{4: {"expected": "00" * 32, "enforced": False}}, [], "all"])
def test_the_policy_cannot_weaken_the_image(manifest: ImageManifest, measurements: object) -> None:
    with pytest.raises(PolicyError, match="measurements"):
        manifest.policy({"measurements": measurements})


COMPONENTS = st.builds(
    Component,
    st.from_regex(r"[a-z0-9][a-z0-9.-]{0,20}", fullmatch=True),
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9.+_-]{0,20}", fullmatch=True),
    st.binary(min_size=32, max_size=32).map(bytes.hex),
)
MANIFESTS = st.builds(
    ImageManifest,
    image=st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=128),
    variant=st.just(Variant.QEMU_VTPM),
    measurements=st.dictionaries(
        st.sampled_from(Variant.QEMU_VTPM.registers),
        st.builds(Register, st.binary(min_size=32, max_size=32), enforced=st.just(value=True)),
        min_size=1,
    ),
    components=st.lists(COMPONENTS, max_size=5, unique_by=lambda component: component.name).map(
        lambda components: tuple(sorted(components))
    ),
    created=st.datetimes(datetime(2000, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001 - below
        lambda time: time.replace(microsecond=0)
    ),
    stub=st.from_regex(r"[!-~]{0,64}", fullmatch=True),
)


@given(MANIFESTS)
def test_every_manifest_is_read_back(written: ImageManifest) -> None:
    assert ImageManifest.from_document(written.to_document()) == written


@given(st.binary(max_size=200) | st.text('{}[]",:version1 ', max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(AttestationError):
        ImageManifest.from_document(data)


@given(MANIFESTS, st.integers(0, 10**6), st.binary(max_size=3))
def test_a_damaged_document_is_read_or_refused(written: ImageManifest, position: int, inserted: bytes) -> None:
    data = written.to_document()
    cut = position % len(data)
    for damaged in (data[:cut], data[:cut] + inserted + data[cut:], data[:cut] + inserted + data[cut + 1 :]):
        with contextlib.suppress(AttestationError):
            ImageManifest.from_document(damaged)
