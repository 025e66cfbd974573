# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation_local_machines`: machines of a cluster on this host."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from cdktf_constellation.errors import InvalidDescriptionError
from cdktf_constellation.model.block import Addressed, Block
from cdktf_constellation.model.expectations import Problem, anything, instance, number, text
from cdktf_constellation.model.image import image_value
from cdktf_constellation.model.lifecycle import Timeouts
from cdktf_constellation.model.record import Record
from constellation_core import rules

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cdktf_constellation.model.references import Reference

_SIZES: Final = ("cpus", "memory", "state_disk")


class Role(StrEnum):
    """What a node is for."""

    CONTROL_PLANE = "control-plane"
    WORKER = "worker"


def _count(value: int) -> str | None:
    return None if value >= 0 else "at least 0"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeGroup(Record):
    """Machines of one kind.

    Attributes:
        role: what they are for.
        count: how many.
        cpus: of each; None for the default of the infrastructure.
        memory: of each, MiB.
        state_disk: of each, MiB.
    """

    role: Role = field(metadata=instance(Role))
    count: int = field(default=1, metadata=number(_count))
    cpus: int | None = field(default=None, metadata=number(rules.cpus))
    memory: int | None = field(default=None, metadata=number(rules.memory))
    state_disk: int | None = field(default=None, metadata=number(rules.state_disk))

    @classmethod
    def control_planes(cls, count: int = 1, **sizes: int) -> Self:
        """Give control planes."""
        return cls(role=Role.CONTROL_PLANE, count=count, **sizes)

    @classmethod
    def workers(cls, count: int = 1, **sizes: int) -> Self:
        """Give workers."""
        return cls(role=Role.WORKER, count=count, **sizes)


class MachinesOutputs(Addressed):
    """What Terraform knows of machines."""

    __slots__ = ()

    @property
    def uid(self) -> Reference:
        """What no other machines have."""
        return self.output("uid")

    @property
    def names(self) -> Reference:
        """Names of all machines, a list."""
        return self.output("names")

    @property
    def nodes(self) -> Reference:
        """The machines, a list of objects: name, role, address, state, reason, endpoints."""
        return self.output("nodes")

    @property
    def out_of_cluster_endpoint(self) -> Reference:
        """Where this host reaches the API server, `host:port`."""
        return self.output("out_of_cluster_endpoint")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalMachines(MachinesOutputs, Block):
    """Machines on this host: real ones, in QEMU, with measured boot and a TPM each.

    Attributes:
        workspace: folder of the cluster; it is made.
        image: `image` of a `NodeImage`, or the folder of an image.
        name: of the cluster.
        control_planes: how many: 1, 3 or 5.
        workers: how many.
        cpus: of each machine.
        memory: of each machine, MiB.
        state_disk: of each machine, MiB.
        timeouts: how long things may take.
    """

    TYPE: ClassVar[str] = "constellation_local_machines"

    workspace: str = field(metadata=text())
    image: str | Mapping[str, Any] = field(metadata=anything(image_value))
    name: str | None = field(default=None, metadata=text(rules.cluster_name))
    control_planes: int | str | None = field(default=None, metadata=number(rules.control_planes))
    workers: int | str | None = field(default=None, metadata=number(rules.workers))
    cpus: int | str | None = field(default=None, metadata=number(rules.cpus))
    memory: int | str | None = field(default=None, metadata=number(rules.memory))
    state_disk: int | str | None = field(default=None, metadata=number(rules.state_disk))
    timeouts: Timeouts | None = field(default=None, metadata=instance(Timeouts))

    @classmethod
    def of_groups(cls, label: str, groups: Sequence[NodeGroup], **arguments: Any) -> Self:  # noqa: ANN401 - as of the class
        """Describe machines by groups, as clouds do.

        Args:
            label: name in Terraform.
            groups: machines; on one host all have the same size.
            **arguments: the rest, as of the class.

        Raises:
            InvalidDescriptionError: groups have different sizes, or something of it cannot be.
        """
        if found := list(_different_sizes(groups)):
            raise InvalidDescriptionError(f"{cls.TYPE}.{label}", found)
        sizes = {name: getattr(group, name) for group in groups for name in _SIZES if getattr(group, name) is not None}
        planes = sum(group.count for group in groups if group.role is Role.CONTROL_PLANE)
        workers = sum(group.count for group in groups if group.role is Role.WORKER)
        return cls(label, control_planes=planes, workers=workers, **sizes, **arguments)


def _different_sizes(groups: Sequence[NodeGroup]) -> Iterator[Problem]:
    for name in _SIZES:
        sizes = dict.fromkeys(getattr(group, name) for group in groups)
        if len(sizes) > 1:
            got = ", ".join("the default" if size is None else str(size) for size in sizes)
            yield Problem(name, "the same in all groups: machines of one host have one size", got)
