# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Clusters that exist: by the path of a workspace, by a URL, or from the state of the earlier provider.

    ./cluster
    constellation-cluster://?kubeConfig=BASE64&clusterEndpoint=HOST&masterSecret=HEX&masterSecretSalt=HEX&workspace=FOLDER

The URL has the keys of the earlier provider; all but `kubeConfig` may be left out. `workspace` says where its secrets
go: they are in no state.
"""

# ruff: noqa: PLC0415 - the engine is loaded by whoever needs it

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlsplit

from constellation_core import rules
from terraform_provider_constellation.errors import telling
from terraform_provider_constellation.plugin.api import ProviderError
from terraform_provider_constellation.resources.cluster import Cluster
from terraform_provider_constellation.resources.cluster_elsewhere import keep

if TYPE_CHECKING:
    from constellation_core.keys.master_secret import MasterSecret
    from terraform_provider_constellation.plugin.api import Call, ForeignState

SCHEME: Final = "constellation-cluster"
EARLIER: Final = "edgelesssys/constellation"
KEYS: Final = ("kubeConfig", "clusterEndpoint", "masterSecret", "masterSecretSalt", "workspace")

_NOTHING: Final = "There is no cluster to import"


def found(id_: str, call: Call) -> Cluster:
    """Find what the user means; a read follows.

    Raises:
        ProviderError: it is no workspace, or the URL is not one; what is secret in it is not shown.
    """
    if urlsplit(id_).scheme == SCHEME:
        return _by_url(id_, call)
    if "://" in id_:
        raise ProviderError(_NOTHING, f"Expected the path of a workspace, or {SCHEME}://?kubeConfig=….")
    from constellation_engine.local_cluster import Workspace

    with telling(_NOTHING):
        workspace = Workspace.open(Path(id_))
    if not workspace.state.cluster_id:
        detail = f"{id_} has machines, and no cluster yet. Import constellation_local_machines, then apply."
        raise ProviderError(_NOTHING, detail)
    return Cluster(workspace=id_, uid=workspace.state.uid, on_destroy="forget")


def _by_url(id_: str, call: Call) -> Cluster:
    from constellation_core.keys.secret import Secret

    given = _keys(id_)
    if "kubeConfig" not in given:
        raise ProviderError(_NOTHING, "Expected kubeConfig in the URL, it is not there.")
    try:
        kubeconfig = base64.b64decode(given["kubeConfig"].replace(" ", "+"), validate=True)
    except (binascii.Error, ValueError):
        raise ProviderError(_NOTHING, "kubeConfig: expected base64, it is not. What came is not shown.") from None
    if "clusterEndpoint" in given:
        call.warn("clusterEndpoint has no effect", "The kubeconfig says where the API server is.")
    folder = given.get("workspace", "constellation-imported")
    with telling(_NOTHING):
        keep(Path(folder), Secret(kubeconfig), _master(given.get("masterSecret"), given.get("masterSecretSalt")))
    return Cluster(workspace=folder, on_destroy="forget")


def _keys(id_: str) -> dict[str, str]:
    given = dict(parse_qsl(urlsplit(id_).query, keep_blank_values=True))
    if unknown := sorted(set(given) - set(KEYS)):
        raise ProviderError(_NOTHING, f"Expected {', '.join(KEYS)} in the URL, got {', '.join(unknown)}.")
    return given


def _master(secret: str | None, salt: str | None) -> MasterSecret | None:
    """Give the master secret that somebody wrote down, if both halves are there."""
    from constellation_core.keys.master_secret import MasterSecret
    from constellation_core.keys.secret import Secret

    if secret is None and salt is None:
        return None
    for name, text in (("masterSecret", secret), ("masterSecretSalt", salt)):
        if text is None:
            raise ProviderError(_NOTHING, f"{name} is missing: masterSecret and masterSecretSalt go together.")
        if expected := rules.hexadecimal(32)(text):
            raise ProviderError(_NOTHING, f"{name}: expected {expected}. What came is not shown.")
    return MasterSecret(Secret(bytes.fromhex(secret or "")), bytes.fromhex(salt or ""))


def is_earlier(source: ForeignState) -> bool:
    """Whether a state is of the earlier provider's cluster."""
    return source.provider.endswith(EARLIER) and source.name == "constellation_cluster"


def moved(source: ForeignState, call: Call) -> Cluster:
    """Take over what the earlier provider knew of a cluster; its secrets leave the state.

    Raises:
        ProviderError: it has no kubeconfig: the cluster was never made.
    """
    from constellation_core.keys.secret import Secret

    values = source.values
    kubeconfig = values.get("kubeconfig")
    if not kubeconfig:
        raise ProviderError("The cluster cannot be moved", "The state has no kubeconfig: it was never made.")
    folder = f"constellation-{values.get('name')}-{values.get('uid')}"
    master = _master(values.get("master_secret"), values.get("master_secret_salt"))
    with telling("The cluster cannot be moved"):
        keep(Path(folder), Secret(kubeconfig.encode()), master)
    call.warn(
        "Secrets were moved out of the state",
        f"They are in {folder} now. Backups of the state still have them, in clear. Set workspace to that folder.",
    )
    return Cluster(
        workspace=folder,
        name=values.get("name"),
        uid=values.get("uid"),
        kubernetes_version=values.get("kubernetes_version"),
        api_server_cert_sans=values.get("api_server_cert_sans"),
        on_destroy="forget",
    )
