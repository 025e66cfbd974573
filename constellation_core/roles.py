# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a node is in its cluster."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from constellation_proto import join_pb2


class Role(StrEnum):
    """What a node is in the cluster."""

    CONTROL_PLANE = "control-plane"
    WORKER = "worker"

    @classmethod
    def from_message(cls, role: join_pb2.Role) -> Role | None:
        """Read the role of a request; None for one that we do not know."""
        from constellation_proto import join_pb2  # noqa: PLC0415 - a node that serves has no use for protobuf

        return {join_pb2.ROLE_CONTROL_PLANE: cls.CONTROL_PLANE, join_pb2.ROLE_WORKER: cls.WORKER}.get(role)

    def to_message(self) -> join_pb2.Role:
        """Give the role as requests say it."""
        from constellation_proto import join_pb2  # noqa: PLC0415 - the same

        return join_pb2.ROLE_CONTROL_PLANE if self is Role.CONTROL_PLANE else join_pb2.ROLE_WORKER
