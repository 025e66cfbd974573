# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Clusters in a kubeconfig of the user's: one is put in beside the others, or taken out, and the others stay.

https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/. Cluster, user and context of one of ours have one name,
so that it can be found again. Nothing here is written, and no secret is in any message.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any, Final

import yaml

from attestation.errors import MalformedError
from constellation_core.errors import ConfigError
from constellation_core.strict_yaml import load_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from constellation_engine.cluster.credentials import Credentials

_SECTIONS: Final = {"clusters": "cluster", "users": "user", "contexts": "context"}
_SHOWN_DIGITS: Final = 16  # of a digest
_EMPTY: Final = {"apiVersion": "v1", "kind": "Config", "preferences": {}, "current-context": ""}


def parse(content: bytes, where: str) -> dict[str, Any]:
    """Read a kubeconfig; an empty file is an empty one.

    Args:
        content: of the file.
        where: what to call it in messages.

    Raises:
        ConfigError: it is none.
    """
    try:
        record = load_yaml(content.decode()) if content.strip() else {}
    except (MalformedError, UnicodeDecodeError):
        record = None  # the reason might quote a key
    if not isinstance(record, dict) or not all(map(_is_section, (record.get(name) for name in _SECTIONS))):
        raise ConfigError(f"{where}: expected a kubeconfig, it is none", hint="move it away, or name another file")
    return {**_EMPTY, **record, **{name: record.get(name) or [] for name in _SECTIONS}}


def with_cluster(record: dict[str, Any], name: str, found: Credentials, *, current: bool) -> dict[str, Any]:
    """Give a kubeconfig in which a cluster is known.

    Args:
        record: as `parse` gives it.
        name: of cluster, user and context.
        found: where the API server is, and who we are there.
        current: whether it becomes the current context; the first one does in any case.
    """
    contents: dict[str, dict[str, Any]] = {
        "clusters": {"server": found.host, "certificate-authority-data": _base64(found.authority.encode())},
        "users": {
            "client-certificate-data": _base64(found.certificate.encode()),
            "client-key-data": _base64(found.key.reveal()),
        },
        "contexts": {"cluster": name, "user": name},
    }
    changed = dict(record)
    for section, kind in _SECTIONS.items():
        entries = list(record[section])
        entry = {"name": name, kind: contents[section]}
        index = next((index for index, one in enumerate(entries) if one["name"] == name), len(entries))
        if section == "contexts" and index < len(entries):
            entry["context"] = (entries[index].get("context") or {}) | contents[section]  # a chosen namespace stays
        entries[index : index + 1] = [entry]
        changed[section] = entries
    if current or not record["current-context"]:
        changed["current-context"] = name
    return changed


def without_cluster(record: dict[str, Any], name: str) -> dict[str, Any]:
    """Give a kubeconfig in which a cluster is not known."""
    changed = {
        **record,
        **{section: [one for one in record[section] if one["name"] != name] for section in _SECTIONS},
    }
    if record["current-context"] == name:
        changed["current-context"] = ""
    return changed


def outline(record: dict[str, Any]) -> tuple[str, ...]:
    """Give what is in a kubeconfig, a line a context, without secrets: a digest tells certificates apart."""
    return tuple(_lines(record))


def dump(record: dict[str, Any]) -> bytes:
    """Write a kubeconfig."""
    return yaml.safe_dump(record, sort_keys=False).encode()


def _lines(record: dict[str, Any]) -> Iterator[str]:
    clusters = {one["name"]: one.get("cluster") or {} for one in record["clusters"]}
    users = {one["name"]: one.get("user") or {} for one in record["users"]}
    for one in record["contexts"]:
        context = one.get("context") or {}
        cluster, user = clusters.get(context.get("cluster"), {}), users.get(context.get("user"), {})
        certificates = f"{cluster.get('certificate-authority-data')} {user.get('client-certificate-data')}"
        digest = hashlib.sha256(certificates.encode()).hexdigest()[:_SHOWN_DIGITS]
        yield f"context {one['name']}: {cluster.get('server')}, certificates {digest}"
    yield f"current context: {record['current-context'] or 'none'}"


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _is_section(entries: object) -> bool:
    return entries is None or (
        isinstance(entries, list) and all(isinstance(one, dict) and isinstance(one.get("name"), str) for one in entries)
    )
