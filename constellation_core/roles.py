# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a node is in its cluster."""

from __future__ import annotations

from enum import StrEnum

from constellation_proto import join_pb2


class Role(StrEnum):
    """What a node is in the cluster."""

    CONTROL_PLANE = "control-plane"
    WORKER = "worker"

    @classmethod
    def from_message(cls, role: join_pb2.Role) -> Role | None:
        """Read the role of a request; None for one that we do not know."""
        return {join_pb2.ROLE_CONTROL_PLANE: cls.CONTROL_PLANE, join_pb2.ROLE_WORKER: cls.WORKER}.get(role)

    def to_message(self) -> join_pb2.Role:
        """Give the role as requests say it."""
        return join_pb2.ROLE_CONTROL_PLANE if self is Role.CONTROL_PLANE else join_pb2.ROLE_WORKER
