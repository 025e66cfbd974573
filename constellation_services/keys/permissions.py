# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Who may have which keys: one table, and everything that is not in it is refused."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from constellation_core.errors import ConfigError, KeyProviderError
from constellation_core.keys.derivation import MEASUREMENT_SECRET, OBJECT_STORE, SSH_AUTHORITY, canonical_uuid
from constellation_core.keys.provider import check_length
from constellation_core.names import NAMESPACE
from constellation_services.errors import KeyRefusedError
from constellation_services.keys.outcome import Outcome, Refusal
from constellation_services.keys.rate_limit import Rate


class KeyClass(StrEnum):
    """What keys are for: the first part of their ids."""

    MEASUREMENT = MEASUREMENT_SECRET
    STATE_DISK = "state-disk"
    VOLUME = "volume"
    OBJECT_STORE = OBJECT_STORE
    SSH_AUTHORITY = SSH_AUTHORITY

    @property
    def has_a_disk(self) -> bool:
        """Whether an id of this class ends with the LUKS UUID of a disk."""
        return self in {KeyClass.STATE_DISK, KeyClass.VOLUME}


@dataclass(frozen=True, slots=True)
class Permission:
    """What a service account may have.

    Attributes:
        classes: of keys.
        rate: how often each of its pods may ask.
    """

    classes: frozenset[KeyClass]
    rate: Rate


PERMISSIONS: Final = MappingProxyType(
    {
        # A storm of joining nodes asks for two keys each. Nodes with an SSH server for emergencies have it certified.
        f"{NAMESPACE}/join-service": Permission(
            frozenset({KeyClass.MEASUREMENT, KeyClass.STATE_DISK, KeyClass.SSH_AUTHORITY}),
            Rate(per_second=5000, burst=10_000),
        ),
        f"{NAMESPACE}/csi-node": Permission(frozenset({KeyClass.VOLUME}), Rate(per_second=20, burst=200)),
        f"{NAMESPACE}/s3proxy": Permission(frozenset({KeyClass.OBJECT_STORE}), Rate(per_second=5, burst=50)),
    }
)
"""Service account, as namespace/name → what it may have."""


_NOTHING: Final = Permission(frozenset(), Rate(per_second=1, burst=20))


def permission_of(account: str) -> Permission:
    """Look up what a service account may have; whoever is not in the table may have nothing."""
    return PERMISSIONS.get(account, _NOTHING)


def class_of(key_id: str) -> KeyClass | None:
    """Tell the class of an id by its beginning; None where there is no such class."""
    for key_class in KeyClass:
        if key_id.startswith(f"{key_class}/") if key_class.has_a_disk else key_id == key_class:
            return key_class
    return None


def check_request(account: str, key_id: str, length: int) -> None:
    """Check that a caller may have this key.

    1. The id is of a class that the caller may have. Stops callers that ask for keys of others.
    2. The id has its only spelling. Stops several keys for one disk, and ids that mean something else elsewhere.
    3. The length is one of a key.

    Raises:
        KeyRefusedError: one of these does not hold.
    """
    key_class = class_of(key_id)
    if key_class not in permission_of(account).classes:  # 1
        raise KeyRefusedError(Refusal(Outcome.DENIED, f"{account} may not have the key {key_id!r:.80}"))
    try:
        if key_class.has_a_disk:  # 2
            canonical_uuid(key_id.removeprefix(f"{key_class}/"))
        check_length(length)  # 3
    except (ConfigError, KeyProviderError) as error:
        raise KeyRefusedError(Refusal(Outcome.MALFORMED, str(error))) from None
