# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""How Terraform treats an object, whatever it is: lifecycle, conditions, time limits.

Specification: https://developer.hashicorp.com/terraform/language/meta-arguments/lifecycle.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from cdktf_constellation.model.expectations import EXPECTATION, Expectation, Problem, flag, objects, text, texts
from cdktf_constellation.model.record import Record, plain
from cdktf_constellation.model.references import Reference
from constellation_core import rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def _names(value: object) -> bool:
    return value == "all" or (isinstance(value, list | tuple) and all(isinstance(one, str) for one in value))


_NAMES: Final = {EXPECTATION: Expectation('names, or "all"', _names)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition(Record):
    """What must hold.

    Attributes:
        condition: an expression.
        error_message: what is said where it does not hold.
    """

    condition: Reference = field(metadata=text())
    error_message: str = field(metadata=text())


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle(Record):
    """How Terraform treats changes of an object.

    Attributes:
        create_before_destroy: whether a replacement comes first.
        prevent_destroy: whether a plan that destroys it is an error.
        ignore_changes: names of attributes whose changes are ignored; "all" of them.
        replace_triggered_by: what else replaces it.
        precondition: what must hold before it is made or read.
        postcondition: what must hold afterwards.
    """

    create_before_destroy: bool | None = field(default=None, metadata=flag())
    prevent_destroy: bool | None = field(default=None, metadata=flag())
    ignore_changes: Sequence[str] | None = field(default=None, metadata=_NAMES)
    replace_triggered_by: Sequence[str] | None = field(default=None, metadata=texts())
    precondition: Sequence[Condition] | None = field(default=None, metadata=objects())
    postcondition: Sequence[Condition] | None = field(default=None, metadata=objects())

    def to_terraform(self) -> dict[str, Any]:
        """Give it as plain data."""
        record = Record.to_terraform(self)
        if self.replace_triggered_by is not None:  # Terraform wants the bare names of these
            record["replace_triggered_by"] = [Reference.bare(one) for one in self.replace_triggered_by]
        return {name: plain(value) for name, value in record.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts(Record):
    """How long operations may take, such as `30m` or `1h30m`; None for the provider's limit."""

    create: str | None = field(default=None, metadata=text(rules.duration))
    read: str | None = field(default=None, metadata=text(rules.duration))
    update: str | None = field(default=None, metadata=text(rules.duration))
    delete: str | None = field(default=None, metadata=text(rules.duration))

    def problems(self) -> Iterable[Problem]:
        """Limit something."""
        if not self.to_terraform():
            yield Problem("timeouts", "at least one of create, read, update, delete")
