# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`provider::constellation::cluster_id`: what marks every node of a cluster, from what it is derived of."""

from __future__ import annotations

import re
from typing import Annotated, Final

from terraform_provider_constellation.plugin.api import ArgumentError, function

_HEX: Final = re.compile(r"[0-9a-f]{64}")


@function
def cluster_id(
    master_secret: Annotated[str, "64 digits 0-9, a-f."],
    salt: Annotated[str, "Of the master secret: 64 digits 0-9, a-f."],
    measurement_salt: Annotated[str, "Of the cluster: 64 digits 0-9, a-f."],
) -> str:
    """Compute the ID of a cluster from its master secret.

    Every node carries the mark of this ID from its first start on. Give the secret as an ephemeral value: then the
    result is ephemeral too, and Terraform stores neither.
    """
    from constellation_core.keys.master_secret import MasterSecret  # noqa: PLC0415 - Terraform starts us often
    from constellation_core.keys.secret import Secret  # noqa: PLC0415

    given = {"master_secret": master_secret, "salt": salt, "measurement_salt": measurement_salt}
    for name, text in given.items():
        if not _HEX.fullmatch(text):  # what came is not shown: it may be most of a secret
            raise ArgumentError(name, f"Expected 64 digits 0-9, a-f, got {len(text)} characters that are not.")
    master = MasterSecret(Secret(bytes.fromhex(master_secret)), bytes.fromhex(salt))
    return master.cluster_id(bytes.fromhex(measurement_salt)).hex()
