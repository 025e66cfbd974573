# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A whole configuration: blocks, outputs, and which provider they are of. Written as Terraform JSON.

Specification: https://developer.hashicorp.com/terraform/language/syntax/json.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from cdktf_constellation.errors import DuplicateLabelError
from cdktf_constellation.model.record import plain, to_json

if TYPE_CHECKING:
    from pathlib import Path

    from cdktf_constellation.model.block import Block

PROVIDER: Final = "constellation"
SOURCE: Final = "constellation-kubernetes/constellation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What a configuration tells.

    Attributes:
        value: an output of a block, or anything with some in it.
        description: for people.
        sensitive: whether Terraform shows it only to who asks for it by name.
    """

    value: Any
    description: str | None = None
    sensitive: bool = False

    def to_terraform(self) -> dict[str, Any]:
        """Give it as plain data."""
        record = {"value": plain(self.value), "description": self.description, "sensitive": self.sensitive or None}
        return {name: value for name, value in record.items() if value is not None}


@dataclass(frozen=True, slots=True, init=False)
class Configuration:
    """What stands in one folder of Terraform.

    Args:
        blocks: resources and data sources.
        outputs: name → what is told.
        version: which versions of the provider will do, such as ">= 1.0"; None for any.
        extra: what else stands there, as Terraform JSON has it: variables, other providers, their resources.

    Raises:
        DuplicateLabelError: two blocks of one kind have the same label.
    """

    blocks: tuple[Block, ...]
    outputs: Mapping[str, Output] = field(default_factory=dict)
    version: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __init__(
        self,
        *blocks: Block,
        outputs: Mapping[str, Any] | None = None,
        version: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        told = {name: one if isinstance(one, Output) else Output(value=one) for name, one in (outputs or {}).items()}
        for name, value in (("blocks", blocks), ("outputs", told), ("version", version), ("extra", extra or {})):
            object.__setattr__(self, name, value)
        addresses = [block.address for block in blocks]
        if twice := [address for address in addresses if addresses.count(address) > 1]:
            raise DuplicateLabelError(f"expected every label once, got {twice[0]} twice", hint="give one another label")

    def to_terraform(self) -> dict[str, Any]:
        """Give it as plain data."""
        record: dict[str, Any] = {"terraform": {"required_providers": {PROVIDER: provider_requirement(self.version)}}}
        for block in self.blocks:
            merge(record, {block.FOLDER: {block.TYPE: {block.label: block.to_terraform()}}})
            merge(record, block.beside())
        for name, output in self.outputs.items():
            merge(record, {"output": {name: output.to_terraform()}})
        merge(record, plain(self.extra))
        return record

    def to_json(self) -> str:
        """Write it, the same every time."""
        return to_json(self.to_terraform())

    def write(self, folder: Path, name: str = "main.tf.json") -> Path:
        """Write it into a folder, which is made if it is not there; give the file."""
        folder.mkdir(parents=True, exist_ok=True)
        place = folder / name
        place.write_text(self.to_json(), encoding="utf-8")
        return place


def provider_requirement(version: str | None = None) -> dict[str, str]:
    """Say where the provider comes from."""
    return {"source": SOURCE} | ({"version": version} if version is not None else {})


def merge(record: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Bring data into data; what both have is what the second says."""
    for name, value in more.items():
        if isinstance(value, Mapping) and isinstance(record.get(name), dict):
            merge(record[name], value)
        else:
            record[name] = value
