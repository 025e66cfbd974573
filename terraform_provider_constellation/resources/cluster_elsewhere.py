# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Clusters that this host did not make: imported by URL, or moved from the earlier provider's state.

Their secrets go into files of a folder of their own, mode 0600, and not into the state. The cluster is looked at in
every plan, and never changed: its machines are not ours.

    FOLDER/kubeconfig          of an administrator
    FOLDER/master-secret.json  what its keys derive from, if that was given
"""

# ruff: noqa: PLC0415 - the engine is loaded by whoever needs it

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from terraform_provider_constellation.errors import is_told

if TYPE_CHECKING:
    from constellation_core.keys.master_secret import MasterSecret
    from constellation_core.keys.secret import Secret
    from terraform_provider_constellation.resources.cluster import Cluster

KUBECONFIG: Final = "kubeconfig"
MASTER_SECRET: Final = "master-secret.json"  # noqa: S105 - the name of a file
FOREIGN: Final = (
    "its machines are not of this provider: it can be looked at and forgotten. For one that Terraform manages, make "
    "machines and a cluster of them, and move what runs in this one"
)


def is_elsewhere(folder: str) -> bool:
    """Whether a folder has secrets of a cluster whose machines are elsewhere."""
    from constellation_engine.local_cluster.workspace import STATE_FILE

    place = Path(folder)
    return (place / KUBECONFIG).exists() and not (place / STATE_FILE).exists()


def keep(folder: Path, kubeconfig: Secret, master: MasterSecret | None) -> None:
    """Write the secrets of a cluster into a new folder.

    Raises:
        WorkspaceError: there is something else.
        SecretFileError: a file cannot be written.
    """
    from constellation_core.keys.secret_file import create_secret_file
    from constellation_engine.errors import WorkspaceError

    if folder.exists() and any(folder.iterdir()):
        raise WorkspaceError(f"{folder}: expected no folder, or an empty one", hint="name another one, or move it away")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    if master is not None:
        master.create(folder / MASTER_SECRET)
    create_secret_file(folder / KUBECONFIG, kubeconfig)


def described(known: Cluster) -> Cluster:
    """Write down what is there. Whatever does not answer is a problem, and no error."""
    from constellation_engine.cluster.credentials import read_credentials

    place = Path(known.workspace) / KUBECONFIG
    known.kubeconfig_path = str(place)
    known.reachable, known.ready, known.attested, known.problems = False, False, False, [FOREIGN]
    known.nodes = []
    try:
        found = read_credentials(place)
        known.host, known.cluster_ca_certificate = found.host, found.authority
        known.out_of_cluster_endpoint = found.host.removeprefix("https://")
        _ask(known, place)
    except Exception as error:
        if not is_told(error):
            raise
        known.problems.append(f"the cluster cannot be asked: {error}")
    return known


def _ask(known: Cluster, kubeconfig: Path) -> None:
    from constellation_engine.cluster.status_reading import read_status
    from terraform_provider_constellation.resources.cluster_reading import client_of, node_of

    with client_of(kubeconfig) as client:
        status = read_status(client, datetime.now(UTC))
    known.reachable = True
    known.nodes = [node_of(node) for node in status.nodes]
    known.attested = bool(known.nodes) and all(node.attested for node in known.nodes)
