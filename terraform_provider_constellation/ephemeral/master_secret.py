# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`ephemeral.constellation_master_secret`: what every key of a cluster derives from; stored nowhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from terraform_provider_constellation.errors import telling
from terraform_provider_constellation.plugin.api import (
    EphemeralResource,
    Lease,
    Model,
    at_most_one_of,
    computed,
    optional,
)

if TYPE_CHECKING:
    from constellation_core.keys.master_secret import MasterSecret


class MasterSecretChoice(Model):
    """Make a new master secret, or read the one of a cluster.

    Without arguments it is a new one, at every plan and every apply: give it to a write-only argument, which takes it
    when the cluster is made. It is in the workspace of the cluster then. Whoever has it can open every disk of the
    cluster.
    """

    workspace: str | None = optional("Workspace of a cluster, to read its secret.")
    file: str | None = optional("File of a master secret, such as `master-secret.json` of a workspace.")
    master_secret: str = computed("The secret: 64 digits 0-9, a-f.", sensitive=True)
    master_secret_salt: str = computed("Its salt: 64 digits 0-9, a-f.", sensitive=True)

    places = at_most_one_of("workspace", "file")


class MasterSecretLease(EphemeralResource[MasterSecretChoice]):
    """Makes or reads it for as long as Terraform needs it."""

    name = "constellation_master_secret"

    async def open(self, config: MasterSecretChoice, call: Lease) -> MasterSecretChoice:
        """Make or read it."""
        del call
        with telling(
            "No master secret", at=next((name for name in ("workspace", "file") if getattr(config, name)), "")
        ):
            found = _secret(config)
        config.master_secret = found.secret.reveal().hex()
        config.master_secret_salt = found.salt.hex()
        return config


def _secret(config: MasterSecretChoice) -> MasterSecret:
    from constellation_core.keys.master_secret import MasterSecret  # noqa: PLC0415 - Terraform starts us often

    if config.file is not None:
        return MasterSecret.load(Path(config.file))
    if config.workspace is not None:
        from constellation_engine.local_cluster import Workspace  # noqa: PLC0415 - as above

        return Workspace.open(Path(config.workspace)).master_secret()
    return MasterSecret.random()
