# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a provider is told about the operation that Terraform asks for, and what it says besides the result."""

from __future__ import annotations

import asyncio
import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from terraform_provider_constellation.plugin.errors import Problem, Severity, StoppedError
from terraform_provider_constellation.plugin.schema.model import Model
from terraform_provider_constellation.plugin.wire.paths import Path

if TYPE_CHECKING:
    from datetime import datetime

M = TypeVar("M", bound=Model)


@dataclass(slots=True, kw_only=True)
class Call:
    """One operation.

    Attributes:
        stopping: is set when Terraform is told to stop (Ctrl-C). It still waits for the answer: finish the step that is
            under way, and return.
        private: what the provider remembers about the object, beside its state; anything that JSON can say. Terraform
            stores it in clear.
        deferral_allowed: whether this Terraform knows what to do with DeferredError.
        warnings: what the user is told besides the result.
    """

    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    private: dict[str, Any] = field(default_factory=dict)
    deferral_allowed: bool = False
    warnings: list[Problem] = field(default_factory=list)

    def warn(self, summary: str, detail: str = "", *, at: str | Path = "") -> None:
        """Tell the user something; the operation goes on."""
        self.warnings.append(Problem(summary, detail, at, Severity.WARNING))

    def raise_if_stopped(self) -> None:
        """End the operation between two steps.

        Raises:
            StoppedError: Terraform was told to stop.
        """
        if self.stopping.is_set():
            raise StoppedError("Terraform was told to stop", hint="run it again: it goes on from what is there")


@dataclass(slots=True, kw_only=True)
class Operation(Call, Generic[M]):
    """An operation on a resource.

    Attributes:
        config: what the user wrote, with defaults, and with the write-only values that no plan or state has. To `read`,
            which is not told it, the state.
        identity: what Terraform knows the resource by, if it knows identities and the resource has one.
        saved: what `save` was given last.
    """

    config: M
    identity: Any = None
    saved: M | None = None

    def save(self, state: M) -> None:
        """Remember what is there by now. If the operation fails later, this becomes the state.

        Terraform then calls a resource that was being created tainted, and makes it anew. One that can be continued
        returns its state instead of failing, and warns.
        """
        self.saved = copy.deepcopy(state)


@dataclass(slots=True, kw_only=True)
class Change(Call, Generic[M]):
    """A change that is planned.

    Attributes:
        config: what the user wrote, with defaults, and with write-only values.
        prior: what is there; None if the resource is to be created.
        planned: what will be there. The provider may change what the configuration leaves open.
        replacements: attributes for which the resource must be made anew.
    """

    config: M
    prior: M | None
    planned: M
    replacements: list[Path] = field(default_factory=list)

    @property
    def is_create(self) -> bool:
        """Whether the resource is to be created."""
        return self.prior is None

    def replace(self, at: str) -> None:
        """The resource must be made anew, for this attribute."""
        self.replacements.append(Path.parse(at))


@dataclass(slots=True, kw_only=True)
class Lease(Call):
    """An operation on an ephemeral resource.

    Attributes:
        renew_at: when Terraform shall ask for `renew`; None for never.
    """

    renew_at: datetime | None = None
