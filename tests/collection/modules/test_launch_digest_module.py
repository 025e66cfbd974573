# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Launch digests are those that the engine computes, one for each number and model of processors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.constellation.core.plugins.module_utils.launching import MODELS
from constellation_engine.machines import DirectBoot
from constellation_engine.machines.launch_digest import Processors, launch_digests
from constellation_engine.machines.spec import VcpuModel
from tests.collection.modules.running import run_module

if TYPE_CHECKING:
    from pathlib import Path


def test_the_models_are_those_of_the_engine() -> None:
    assert list(VcpuModel) == MODELS


@pytest.mark.parametrize(
    "arguments, said",
    [
        ({}, "cpu"),
        ({"cpus": [2], "cpu_models": ["EPYC-Milan"]}, "image, kernel"),
        ({"cpus": [2], "cpu_models": ["EPYC-Milan"], "kernel": "/k"}, "initrd"),
        ({"cpus": [2], "cpu_models": ["EPYC-Milan"], "image": "/nowhere"}, "/nowhere"),
        ({"cpus": [2], "cpu_models": ["Pentium"], "image": "/nowhere"}, "cpu_models"),
        ({"cpus": [], "cpu_models": [], "image": "/nowhere"}, "Option cpus: expected at least one number"),
        ({"cpus": [513], "cpu_models": ["EPYC-Milan"], "image": "/nowhere"}, "Option cpus"),
    ],
)
def test_what_is_wrong_is_named(arguments: dict[str, Any], said: str, tmp_path: Path) -> None:
    firmware: dict[str, Any] = {"firmware": str(tmp_path / "OVMF.fd")} if "cpus" in arguments else {}
    answer = run_module("launch_digest_info", **arguments, **firmware)
    assert answer["failed"]
    assert said in answer["msg"]


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    (tmp_path / "kernel").touch()
    given: dict[str, Any] = {
        "firmware": "/f",
        "kernel": str(tmp_path / "kernel"),
        "initrd": "/nowhere",
        "command_line": "",
    }
    answer = run_module("launch_digest_info", cpus=[2], cpu_models=["EPYC-Milan"], **given)
    assert "Option initrd: expected a file" in answer["msg"]


def test_digests_are_those_of_the_engine(tmp_path: Path, vectors: Path) -> None:
    firmware = vectors / "virtee__sev-snp-measure/tests/fixtures/ovmf_AmdSev_suffix.bin"
    for name in ("kernel", "initrd"):
        (tmp_path / name).write_bytes(name.encode())
    files = {name: str(tmp_path / name) for name in ("kernel", "initrd")}
    given: dict[str, Any] = {"cpus": [1, 2], "cpu_models": ["EPYC-Milan"], "command_line": "quiet", **files}
    answer = run_module("launch_digest_info", firmware=str(firmware), **given)
    processors = [Processors(number, VcpuModel.MILAN) for number in (1, 2)]
    boot = DirectBoot(tmp_path / "kernel", tmp_path / "initrd", "quiet")
    computed = launch_digests(firmware, boot, processors)
    assert [one["digest"] for one in answer["digests"]] == [computed[one].hex() for one in processors]
    assert not answer["changed"]
