# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Images of one join-config: signed by one key, or by the two of a rotation."""

from __future__ import annotations

import pytest

from constellation_core.image_manifest import sign
from constellation_core.join_config import JoinConfig
from constellation_engine.errors import ImageKeyError
from constellation_engine.node_image.signing import fingerprints, public_pem
from constellation_engine.testing.node_images import KEY, OTHER_KEY, FakeImage
from terraform_provider_constellation.objects.attestation import Attestation, attestation_of
from terraform_provider_constellation.objects.join_policy import written

OLD, NEW = public_pem(KEY), public_pem(OTHER_KEY)


def image(*believed: bytes, root: bytes = b"a root") -> Attestation:
    """An image whose nodes believe these keys; the first one signed it."""
    manifest = FakeImage(root=root).manifest()
    signed = sign(manifest.to_document(), KEY if believed[0] == OLD else OTHER_KEY)
    return attestation_of(
        manifest.policy({}), signed=signed, image=manifest.image, public_key=b"".join(believed).decode("ascii")
    )


@pytest.mark.parametrize("second", [image(OLD, NEW, root=b"another"), image(NEW, OLD, root=b"another")])
def test_images_before_and_during_a_rotation_of_the_key_go_together(second: Attestation) -> None:
    document = JoinConfig.from_yaml(written([image(OLD), second], None))
    assert set(fingerprints(document.image_key.encode())) == {*fingerprints(OLD), *fingerprints(NEW)}
    assert len(document.images) == 2


def test_images_of_two_builders_do_not_go_together() -> None:
    with pytest.raises(ImageKeyError, match="several builders"):
        written([image(OLD), image(NEW, root=b"another")], None)
