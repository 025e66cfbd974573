# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Hosts of a Terraform state: what `constellation_local_machines` and `constellation_cluster` wrote into it.

The file is read as it is, format version 4 (Terraform since 0.12, OpenTofu): neither program is started. Only the
attributes that are named here are looked at; a state can hold secrets, and they stay there.
"""

from __future__ import annotations

import json
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from constellation_core.errors import ConfigError
from constellation_core.roles import Role
from constellation_engine.inventory.host import Host, Inventory

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FORMAT: Final = 4

_MACHINES: Final = "constellation_local_machines"
_CLUSTER: Final = "constellation_cluster"


def inventory_of_terraform_state(document: bytes) -> Inventory:
    """List the hosts of all clusters in a state.

    Args:
        document: content of `terraform.tfstate`, or what `terraform state pull` prints.

    Returns:
        The machines, and nodes of clusters that live elsewhere. Attested is who was so at the last apply or refresh.

    Raises:
        ConfigError: it is no state, one of another format, or encrypted; or what our resources wrote is damaged.
    """
    state = _read(document)
    try:
        return Inventory(tuple(_hosts(state)))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"Terraform state: what our resources wrote is not understood ({type(error).__name__}: {error})"[:240],
            hint="was it written by another version of the provider? terraform refresh writes it anew",
        ) from None


def _read(document: bytes) -> dict[str, Any]:
    try:
        state = json.loads(document)
    except (ValueError, RecursionError):
        raise _no_state("something that is not JSON") from None
    if not isinstance(state, dict):
        raise _no_state("JSON that is no object")
    if state.get("version") != FORMAT:
        raise _no_state("an encrypted one" if "encrypted_data" in state else f"version {state.get('version')!r:.40}")
    return state


def _no_state(got: str) -> ConfigError:
    return ConfigError(
        f"Terraform state: expected one of format version {FORMAT}, got {got}",
        hint="terraform state pull (or tofu state pull) > FILE gives it whole, and in the clear",
    )


def _hosts(state: Mapping[str, Any]) -> Iterator[Host]:
    clusters = list(_attributes(state, _CLUSTER))
    attested = {
        (cluster["workspace"], node["name"])
        for cluster in clusters
        for node in cluster.get("nodes") or ()
        if node["attested"]
    }
    local = list(_attributes(state, _MACHINES))
    for group in local:
        for machine in group.get("nodes") or ():
            yield _machine(group, machine, attested=(group["workspace"], machine["name"]) in attested)
    here = {group["workspace"] for group in local}
    for cluster in clusters:
        if cluster["workspace"] not in here:
            for node in cluster.get("nodes") or ():
                yield _node(cluster, node)


def _machine(group: Mapping[str, Any], machine: Mapping[str, Any], *, attested: bool) -> Host:
    return Host(
        name=str(machine["name"]),
        role=Role(machine["role"]),
        cluster=str(group["name"]),
        workspace=str(group["workspace"]),
        image=_image(group.get("image")),
        state=str(machine["state"]),
        address=str(machine["address"]),
        endpoints={str(name): str(place) for name, place in (machine.get("endpoints") or {}).items()},
        attested=attested,
    )


def _node(cluster: Mapping[str, Any], node: Mapping[str, Any]) -> Host:
    return Host(
        name=str(node["name"]),
        role=Role(node["role"]),
        cluster=str(cluster["name"]),
        image=_image(cluster.get("image")),
        attested=node["attested"] is True,
    )


def _attributes(state: Mapping[str, Any], kind: str) -> Iterator[dict[str, Any]]:
    for resource in state.get("resources") or ():
        if resource["type"] == kind and resource["mode"] == "managed":
            yield from (instance["attributes"] for instance in resource["instances"])


def _image(written: object) -> str:
    """Give the name of an image's folder; the attribute has no fixed type, so that the state says the type with it."""
    value = written.get("value") if isinstance(written, dict) and "type" in written else written
    path = value.get("path") if isinstance(value, dict) else value
    return PurePath(path).name if isinstance(path, str) else ""
