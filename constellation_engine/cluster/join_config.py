# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The cluster's `join-config` from its administrator's side: show it, change it, go back to an earlier version.

A change that the join service would refuse is refused here, before anything is written. Nobody's change is lost: who
writes says which version they saw, and what was there before is in the history. The join service takes a new version
without a restart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ConfigMap

from constellation_core.cluster_history import OBJECT_NAME as HISTORY
from constellation_core.cluster_history import Revision, record_history, revisions
from constellation_core.errors import ConfigError
from constellation_core.join_config import DATA_KEY, OBJECT_NAME, JoinConfig
from constellation_core.names import NAMESPACE
from constellation_engine.cluster.api import asking
from constellation_engine.errors import ConflictError, ObjectNotFoundError

if TYPE_CHECKING:
    from lightkube import Client

ATTEMPTS: Final = 5  # to write history while join services write it too


@dataclass(frozen=True, slots=True)
class StoredJoinConfig:
    """What the cluster has now.

    Attributes:
        text: the file, YAML.
        version: names this state of it (`resourceVersion`); writing with it fails if somebody was quicker.
    """

    text: str
    version: str

    def parse(self) -> JoinConfig:
        """Read it.

        Raises:
            ConfigError: the join service refuses it too, and goes on with an earlier version.
        """
        return JoinConfig.from_yaml(self.text)


def show(client: Client) -> StoredJoinConfig:
    """Read what the cluster has now. It may be something that the join service refuses.

    Raises:
        ObjectNotFoundError: it has none.
        ClusterError: the API server refuses, or does not answer.
    """
    found = _read(client, OBJECT_NAME)
    metadata = found.metadata or ObjectMeta()
    return StoredJoinConfig((found.data or {}).get(DATA_KEY, ""), metadata.resourceVersion or "")


def stored(client: Client) -> StoredJoinConfig:
    """Read what the cluster has now; without text and version where it has none.

    Raises:
        ClusterError: the API server refuses, or does not answer.
    """
    try:
        return show(client)
    except ObjectNotFoundError:
        return StoredJoinConfig("", "")


def put(client: Client, text: str, *, seen: str | None = None) -> Revision:
    """Change what machines may join, and write history.

    Args:
        client: of an administrator.
        text: the new file, YAML.
        seen: `version` of the state that was shown to whoever changed it, empty where there was none; None to write
            over any.

    Returns:
        What was written, with its number in the history.

    Raises:
        ConfigError: the join service would refuse it. Nothing was written.
        ConflictError: somebody else changed it since. Nothing was written.
        ClusterError: the API server refuses, or does not answer.
    """
    JoinConfig.from_yaml(text)
    current = stored(client)
    if seen is not None and seen != current.version:
        raise ConflictError("join-config: somebody else changed it", hint="show it again, then repeat the change")
    _record_if_usable(client, current)
    if current.text != text:
        _write(client, OBJECT_NAME, {DATA_KEY: text}, current.version)
    return _record(client, text)


def says_the_same(one: str, other: str) -> bool:
    """Whether two files accept the same machines, in whatever order and with whatever spaces they are written.

    A file that the join service refuses says the same as itself alone.
    """
    try:
        return one == other or JoinConfig.from_yaml(one) == JoinConfig.from_yaml(other)
    except ConfigError:
        return False


def history(client: Client) -> tuple[Revision, ...]:
    """Give the last versions that were accepted, oldest first.

    Raises:
        ClusterError: the API server refuses, or does not answer.
    """
    try:
        return revisions(_read(client, HISTORY).data)
    except ObjectNotFoundError:
        return ()


def rollback(client: Client, number: int | None = None) -> Revision:
    """Go back to an earlier version. It becomes the newest one.

    Args:
        client: of an administrator.
        number: of the revision; None for the one before what the cluster has now.

    Returns:
        What was written, with its new number.

    Raises:
        ObjectNotFoundError: there is no such revision.
        ConfigError: it is one that this release refuses.
        ClusterError: the API server refuses, or does not answer.
    """
    current, known = show(client), history(client)
    chosen = _before(current.text, known) if number is None else [one for one in known if one.number == number]
    if not chosen:
        numbers = ", ".join(str(one.number) for one in known) or "none"
        wanted = "earlier revision" if number is None else f"revision {number}"
        raise ObjectNotFoundError(f"join-config: there is no {wanted}", hint=f"the history has: {numbers}")
    return put(client, chosen[-1].text, seen=current.version)


def _before(text: str, known: tuple[Revision, ...]) -> list[Revision]:
    """Give what was accepted before a text was; everything, where it never was."""
    last = max((one.number for one in known if one.text == text), default=None)
    return [one for one in known if one.text != text and (last is None or one.number < last)]


def _record_if_usable(client: Client, current: StoredJoinConfig) -> None:
    try:
        current.parse()
    except ConfigError:  # nobody wants to go back to that
        return
    _record(client, current.text)


def _record(client: Client, text: str) -> Revision:
    for _ in range(ATTEMPTS):
        try:
            return _try_to_record(client, text)
        except ConflictError as error:  # a join service was quicker
            conflict = error
    raise conflict


def _try_to_record(client: Client, text: str) -> Revision:
    version, data = "", None
    try:
        found = _read(client, HISTORY)
        version, data = (found.metadata or ObjectMeta()).resourceVersion or "", found.data
    except ObjectNotFoundError:
        pass
    after = record_history(data, text)
    if after is not None:
        _write(client, HISTORY, after, version)
    return revisions(data if after is None else after)[-1]


def _read(client: Client, name: str) -> ConfigMap:
    with asking(f"read ConfigMap {name}"):
        return client.get(ConfigMap, name, namespace=NAMESPACE)


def _write(client: Client, name: str, data: dict[str, str], version: str) -> None:
    """Write a ConfigMap: a new one where `version` is empty, else in the place of that version."""
    wanted = ConfigMap(metadata=ObjectMeta(name=name, namespace=NAMESPACE), data=data)
    with asking(f"write ConfigMap {name}"):
        if version and wanted.metadata:
            wanted.metadata.resourceVersion = version
            client.replace(wanted)
        else:
            client.create(wanted)
