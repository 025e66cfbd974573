# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Bring a node image to a folder that others take it from, after verifying it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.constellation.core.plugins.module_utils.chosen_image import public_key_of

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

    from constellation_engine.node_image.image_folder import ImageFolder
    from constellation_engine.node_image.launch import LaunchInputs


def publish(module: AnsibleModule, folder: ImageFolder, launch: LaunchInputs | None, answer: dict[str, Any]) -> None:
    """Verify, copy, note; an image that is not accepted ends the module.

    Args:
        module: with the options `publish_to`, `public_key`, `catalogue` and `key`.
        folder: the image.
        launch: firmware and processors, for images whose firmware is handed a kernel.
        answer: of the module; gets what happened, or would.

    Raises:
        NodeImageError: the image is not whole, or another one has its name there.
        UploadError: it did not get there, or the list cannot be written.
    """
    from constellation_engine.node_image.upload.file import FileUploader

    _require_accepted(module, folder, launch)
    uploader = FileUploader(Path(module.params["publish_to"]))
    target = uploader.target(folder)
    is_new = not target.exists()
    answer["changed"] |= is_new
    answer["diff"].append({"before": "" if is_new else f"{target}\n", "after": f"{target}\n"})
    if not module.check_mode:
        _send(module, uploader, folder, answer)


def _send(module: AnsibleModule, uploader: Any, folder: ImageFolder, answer: dict[str, Any]) -> None:  # noqa: ANN401
    from constellation_engine.node_image.publishing import note_place
    from constellation_engine.node_image.upload.uploader import say_nothing

    place = uploader.upload(folder, report=say_nothing)
    answer["place"] = place.to_record()
    if module.params["catalogue"] is not None:
        answer["changed"] |= note_place(Path(module.params["catalogue"]), folder, place)


def _require_accepted(module: AnsibleModule, folder: ImageFolder, launch: LaunchInputs | None) -> None:
    from constellation_engine.node_image.signing import default_key_path, read_public_key
    from constellation_engine.node_image.verification import verify_image

    key = module.params["key"]
    trusted = public_key_of(module) or read_public_key(Path(key) if key is not None else default_key_path())
    verdict = verify_image(folder, trusted, launch=launch)
    if not verdict.is_accepted:
        reasons = "; ".join(map(str, verdict.mismatches))
        module.fail_json(msg=f"{folder.path} is not published: {reasons}.", verdict=verdict.to_mapping())
