# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Descriptions of machines: what they refuse, and that they survive being written down."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constellation_engine.errors import MachineNotFoundError, MachineSpecError
from constellation_engine.machines import (
    DirectBoot,
    Forward,
    LaunchManifest,
    MachineSpec,
    Segment,
    SevSnp,
    TpmInterface,
    VcpuModel,
    Vtpm,
)
from constellation_engine.machines.spec import check_name
from constellation_engine.machines.spec_file import from_json, read_spec, to_json

ORGANIZATION_LOCAL = IPv4Network("239.192.0.0/14")  # RFC 2365 § 6.2
PLAIN = MachineSpec(image=Path("/image.raw"))
MANIFEST = LaunchManifest(uid="u", name="n", role="worker", node_group="g", image_key="00" * 32)
BOOT = DirectBoot(Path("/kernel"), Path("/initrd"), "console=ttyS0 roothash=00")
FULL = replace(
    PLAIN,
    metadata={"version": 1, "peers": [{"name": "node-1", "addresses": ["10.99.0.2"]}]},
    forwards=(Forward("init", 9000, 19000), Forward("verify", 30081)),
    segment=Segment.of("cluster"),
    addresses=(IPv4Interface("10.99.0.1/24"),),
    platform=SevSnp(BOOT, MANIFEST, VcpuModel.GENOA, policy=0x20000),
    isolated=True,
    capture=True,
    durable=True,
)


@pytest.mark.parametrize(
    "wrong",
    [
        {"cpus": 0},
        {"cpus": 256},
        {"memory": 16},
        {"memory": -1},
        {"state_disk": 0},
        {"forwards": (Forward("init", 0),)},
        {"forwards": (Forward("init", 65536),)},
        {"forwards": (Forward("init", 9000, -1),)},
        {"forwards": (Forward("in it", 9000),)},
        {"forwards": (Forward("init", 9000), Forward("init", 9999))},
        {"forwards": (Forward("init", 9000, 20000), Forward("recover", 9999, 20000))},
        {"addresses": (IPv4Interface("10.99.0.1/24"),)},
        {"capture": True},
    ],
)
def test_no_machine_is_made_of(wrong: dict[str, Any]) -> None:
    with pytest.raises(MachineSpecError):
        replace(PLAIN, **wrong)


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a.b", "a/b", "..", "a" * 64, "ä", "a\n", "a,b"])
def test_no_machine_is_called(name: str) -> None:
    with pytest.raises(MachineSpecError, match="expected 1 to 63"):
        check_name("machine", name)


@pytest.mark.parametrize("name", ["a", "node-0", "0", "a" * 63])
def test_a_machine_may_be_called(name: str) -> None:
    check_name("machine", name)


@pytest.mark.parametrize("spec", [PLAIN, FULL, replace(PLAIN, platform=Vtpm(TpmInterface.CRB))])
def test_a_description_survives_being_written_down(spec: MachineSpec) -> None:
    assert from_json(to_json(spec)) == spec


@given(st.text())
def test_any_text_is_a_description_or_refused(text: str) -> None:
    with pytest.raises(MachineSpecError):
        from_json(text)


@given(st.sampled_from(sorted(json.loads(to_json(FULL)))), st.none() | st.integers() | st.text() | st.lists(st.none()))
def test_a_damaged_field_is_refused_or_harmless(name: str, value: object) -> None:
    record = json.loads(to_json(FULL)) | {name: value}
    with suppress(MachineSpecError):
        from_json(json.dumps(record))


@pytest.mark.parametrize("change", [{"version": 2}, {"colour": "red"}, {"platform": {"variant": "aws-sev-snp"}}])
def test_a_description_of_another_kind_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(MachineSpecError):
        from_json(json.dumps(json.loads(to_json(FULL)) | change))


def test_no_description_is_no_machine(tmp_path: Path) -> None:
    with pytest.raises(MachineNotFoundError):
        read_spec(tmp_path / "spec.json")


def test_a_damaged_description_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text("{")
    with pytest.raises(MachineSpecError, match=r"spec\.json") as caught:
        read_spec(tmp_path / "spec.json")
    assert "destroyed" in caught.value.hint


def test_what_json_cannot_say_is_refused() -> None:
    with pytest.raises(MachineSpecError, match="metadata"):
        to_json(replace(PLAIN, metadata={"key": object()}))


def test_a_port_is_asked_for_by_name() -> None:
    assert FULL.host_port("init") == 19000
    with pytest.raises(MachineSpecError, match="forwarded are: init, verify"):
        FULL.host_port("recover")


def test_two_clusters_have_two_segments() -> None:
    segments = {Segment.of(f"cluster {number}") for number in range(1000)}
    assert len(segments) == 1000
    assert all(segment.group in ORGANIZATION_LOCAL for segment in segments)
    assert Segment.of("a") == Segment.of("a")
