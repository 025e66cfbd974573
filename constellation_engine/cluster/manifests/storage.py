# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The storage class that claims get which name none: folders on the encrypted state disk of one node.

A volume is made where its first pod runs, so it waits for that (`WaitForFirstConsumer`). The storage service makes it
and deletes it with its claim. https://kubernetes.io/docs/concepts/storage/storage-classes/
"""

from __future__ import annotations

from typing import Final

from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.storage_v1 import StorageClass

from constellation_core.names import VOLUME_PROVISIONER
from constellation_engine.cluster.manifests.names import PART_OF

NAME: Final = "state-disk"
DEFAULT: Final = "storageclass.kubernetes.io/is-default-class"


def storage_class() -> StorageClass:
    """Give the storage class."""
    return StorageClass(
        metadata=ObjectMeta(name=NAME, labels=dict(PART_OF), annotations={DEFAULT: "true"}),
        provisioner=VOLUME_PROVISIONER,
        volumeBindingMode="WaitForFirstConsumer",
        reclaimPolicy="Delete",
        allowVolumeExpansion=False,
    )
