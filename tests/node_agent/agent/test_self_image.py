# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""How a node sees itself: an image for debugging says so, and who has no whole policy judges nobody."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from attestation.case import BINDING_SIZE
from attestation.qemu.issuer import VtpmIssuer
from attestation.testing.tpm import SoftwareTpm
from attestation.variant import Variant
from constellation_core.errors import PeerNotAcceptedError
from constellation_core.image_manifest import SignedManifest, sign
from node_agent.console import SHOWN_REGISTERS
from node_agent.device import NodeDevice
from node_agent.errors import PermanentError
from node_agent.image import ImageFacts, Profile, TrustedImage
from node_agent.self_image import JUDGED_BY_REGISTERS, look_at_self

if TYPE_CHECKING:
    from attestation.evidence import Evidence
    from node_agent.self_image import SelfImage

IMAGE_KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC_KEY = IMAGE_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
BINDING = bytes(BINDING_SIZE)


class Device(NodeDevice):
    """A machine with a TPM in this process."""

    def __init__(self, variant: Variant = Variant.QEMU_VTPM, boot: bytes = b"our image") -> None:
        super().__init__(variant, Path("/nowhere"))
        self.software = SoftwareTpm()
        for register in (4, 9, 11):
            self.software.event(register, boot)

    def issue(self, binding: bytes) -> Evidence:
        return VtpmIssuer(self.variant, self.software).issue(binding)

    def registers(self) -> dict[int, bytes]:
        return {index: self.software.pcrs[index] for index in SHOWN_REGISTERS}


def facts(profile: Profile, variant: Variant = Variant.QEMU_VTPM) -> ImageFacts:
    return ImageFacts(
        name="constellation", image_version="1.0.0", variant=variant, profile=profile, kubernetes="v1.36.4"
    )


def seen(profile: Profile) -> SelfImage:
    device = Device()
    return look_at_self(device, device.registers(), facts=facts(profile), image=TrustedImage(PUBLIC_KEY))


def signed(device: Device, name: str) -> SignedManifest:
    """What the maker of our image signed of another one."""
    document = {
        "version": 1,
        "image": name,
        "variant": "qemu-vtpm",
        "measurements": {str(i): {"expected": device.software.pcrs[i].hex(), "enforced": True} for i in (4, 9, 11)},
        "launch_digests": [],
        "components": [],
        "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "stub": "",
    }
    return sign(json.dumps(document).encode(), IMAGE_KEY)


@pytest.mark.parametrize("profile", Profile)
def test_only_an_image_for_debugging_is_not_for_secrets(profile: Profile) -> None:
    assert seen(profile).policy.not_for_secrets == (profile is Profile.DEBUG)


@pytest.mark.parametrize("profile", Profile)
def test_every_verdict_of_a_debug_image_about_its_like_says_so(profile: Profile) -> None:
    verifier = seen(profile).verifier(TrustedImage(PUBLIC_KEY))
    verdict = verifier.judge(Device().issue(BINDING), binding=BINDING, image=None)
    assert verdict.accepted
    assert any("NOT FOR SECRETS" in warning for warning in verdict.warnings) == (profile is Profile.DEBUG)


def test_another_image_for_debugging_serves_only_its_like() -> None:
    newer = Device(boot=b"a newer one")
    manifest, evidence = signed(newer, "constellation 1.0.1 (debug)"), newer.issue(BINDING)
    judge_of_debug = seen(Profile.DEBUG).verifier(TrustedImage(PUBLIC_KEY))
    assert judge_of_debug.judge(evidence, binding=BINDING, image=manifest).accepted
    judge_of_release = seen(Profile.RELEASE).verifier(TrustedImage(PUBLIC_KEY))
    with pytest.raises(PeerNotAcceptedError, match="is not for secrets"):
        judge_of_release.judge(evidence, binding=BINDING, image=manifest)


@pytest.mark.parametrize("variant", [found for found in Variant if found not in JUDGED_BY_REGISTERS], ids=str)
def test_who_has_no_whole_policy_judges_nobody(variant: Variant) -> None:
    with pytest.raises(PermanentError, match=f"a node of {variant} cannot judge others yet") as error:
        look_at_self(Device(variant), {}, facts=facts(Profile.RELEASE, variant), image=TrustedImage(PUBLIC_KEY))
    assert "qemu-vtpm or openstack-vtpm" in error.value.hint
