# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What an image measures: predicted from its files, written into `measurements.json`, signed, and put into its ESP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attestation.errors import AttestationError
from attestation.measured_boot.predict import predict_file
from constellation_core.image_manifest import DEBUG, MAX_SIZE, ImageManifest, SignedManifest
from constellation_engine.errors import NodeImageError
from constellation_engine.node_image.esp import put_into_esp
from constellation_engine.node_image.image_folder import ImageFile, read_bounded
from constellation_engine.node_image.launch import digests_of
from constellation_engine.node_image.packages import PackageManifest
from constellation_engine.node_image.signing import check_signer, public_pem, sign_image
from constellation_engine.node_image.targets import Profile, Target

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric import ec

    from constellation_core.component_list import Component
    from constellation_engine.node_image.build_record import BuildRecord
    from constellation_engine.node_image.image_folder import ImageFolder
    from constellation_engine.node_image.launch import LaunchInputs


def predict_manifest(
    folder: ImageFolder, *, build: BuildRecord, components: Sequence[Component], launch: LaunchInputs | None
) -> ImageManifest:
    """Say what an image will measure.

    Args:
        folder: with the unified kernel image, and what a firmware is handed if it is.
        build: what the image is.
        components: programs in it.
        launch: for targets whose firmware is handed a kernel.

    Raises:
        NodeImageError: a file is missing.
        PredictionError: the unified kernel image is none that can be predicted.
        MachineError: the firmware cannot be used, or the extra `build` is not installed.
    """
    prediction = predict_file(folder.require(ImageFile.UKI))
    return ImageManifest(
        image=build.title + ("" if Profile.named(build.profile).is_for_secrets else DEBUG),
        variant=build.variant,
        measurements={} if launch else prediction.measurements,
        launch_digests=tuple(sorted(set(digests_of(folder, launch).values()))) if launch else (),
        components=tuple(components),
        created=build.created,
        stub=prediction.stub,
    )


def predict_again(folder: ImageFolder, launch: LaunchInputs | None) -> ImageManifest:
    """Say what an image will measure that was built before; see `predict_manifest`.

    Raises:
        NodeImageError: as `predict_manifest`; or firmware and processors were given that its target has no use for, or
            not given.
        MalformedError: a record of the image is damaged.
    """
    build = folder.read_build()
    if Target.named(build.variant.value).boots_kernel_directly != (launch is not None):
        raise NodeImageError(
            f"{folder.path}: {build.variant} takes firmware and processors exactly where launch digests judge it",
            hint="qemu-snp needs firmware, cpus and cpu_models; no other target does",
        )
    components = PackageManifest.from_document(folder.read(ImageFile.PACKAGES)).components
    return predict_manifest(folder, build=build, components=components, launch=launch)


def read_signed_file(measurements: Path) -> SignedManifest:
    """Read a file `measurements.json` that somebody published, with the signature beside it.

    Raises:
        NodeImageError: one of both cannot be read.
        MalformedError: the signature is not base64.
    """
    signature = read_bounded(measurements.with_name(f"{measurements.name}.sig"), MAX_SIZE)
    return SignedManifest.from_text(read_bounded(measurements, MAX_SIZE), signature.decode("ascii", "replace"))


def is_as_written(folder: ImageFolder, manifest: ImageManifest, key: ec.EllipticCurvePrivateKey) -> bool:
    """Whether an image says of itself that it measures so, with a signature of this key."""
    try:
        signed = folder.read_signed()
        signed.verify(public_pem(key))
    except (AttestationError, NodeImageError):
        return False
    return signed.document == manifest.to_document()


def write_measurements(folder: ImageFolder, manifest: ImageManifest, key: ec.EllipticCurvePrivateKey) -> None:
    """Let an image say that it measures so: beside its disk, and in its ESP, where nodes find it.

    Raises:
        ImageKeyError: nodes of the image do not believe this key.
        NodeImageError: a file is missing, or cannot be written.
        MissingProgramError: mtools are not installed.
    """
    check_signer(folder, key)
    folder.place(ImageFile.MEASUREMENTS).write_bytes(manifest.to_document())
    sign_image(folder, key)
    put_into_esp(folder, replace=True)
