# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The generated code is what protoc gives today, and says the same as the protocol's field numbers."""

from __future__ import annotations

import subprocess
import sys
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest

from terraform_provider_constellation.plugin.wire import tfplugin6_pb2 as pb

if TYPE_CHECKING:
    from pathlib import Path

WIRE = "terraform_provider_constellation/plugin/wire"


@pytest.mark.parametrize("name", ["goplugin", "tfplugin6"])
def test_generated_code_is_current(repository: Path, tmp_path: Path, name: str) -> None:
    includes = [f"-I{repository}", f"-I{files('grpc_tools') / '_proto'}"]
    outputs = [f"--python_out={tmp_path}", f"--pyi_out={tmp_path}"]
    source = str(repository / WIRE / f"{name}.proto")
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *includes, *outputs, source], check=True)
    for made in ((tmp_path / WIRE / f"{name}_pb2.py"), (tmp_path / WIRE / f"{name}_pb2.pyi")):
        assert made.read_text(encoding="utf-8") == (repository / WIRE / made.name).read_text(encoding="utf-8")


def test_field_numbers_of_the_protocol() -> None:
    """Those that would do harm unnoticed: all of them are bytes or messages of one type."""
    plan = pb.PlanResourceChange.Request.DESCRIPTOR.fields_by_name
    assert {name: plan[name].number for name in ("prior_state", "proposed_new_state", "config", "prior_private")} == {
        "prior_state": 2,
        "proposed_new_state": 3,
        "config": 4,
        "prior_private": 5,
    }
    assert pb.Schema.Attribute.DESCRIPTOR.fields_by_name["write_only"].number == 11
    assert len(pb.DESCRIPTOR.services_by_name["Provider"].methods) == 36
