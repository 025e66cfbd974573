# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Power-on: what a machine must have, and what it says where it does not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from node_agent.errors import PermanentError
from node_agent.phases import Phase
from node_agent.testing.machine import MEASUREMENTS

if TYPE_CHECKING:
    from node_agent.testing.machine import FakeMachine

ANOTHER_KEY = ec.derive_private_key(8, ec.SECP256R1())


async def test_a_machine_without_evidence_says_so_and_waits(machine: FakeMachine) -> None:
    machine.settings["tpm"] = "tcp://127.0.0.1:1"
    async with machine.booted() as boot:
        await boot.reached(Phase.FAILED)
    assert "cannot reach a TPM" in boot.screen
    assert machine.moments.seen == []


async def test_a_device_that_comes_late_is_waited_for(machine: FakeMachine) -> None:
    machine.settings["config_drive"] = machine.folder / "later"
    async with machine.booted() as boot:
        await boot.heard("does the machine have this drive?")
        machine.drive.rename(machine.folder / "later")
        await boot.reached(Phase.WAITING)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        '{"version": 2}',
        '{"version": 1, "name": "a", "image_version": "1", "variant": "none", "profile": "debug", "kubernetes": "v1"}',
    ],
)
async def test_an_image_of_others_is_refused(machine: FakeMachine, text: str) -> None:
    (machine.image / "image.json").write_text(text)
    async with machine.booted() as boot:
        await boot.reached(Phase.FAILED)
    assert "the image is not one of ours" in boot.screen


async def test_a_debug_image_says_that_it_is_not_for_secrets(machine: FakeMachine) -> None:
    facts = json.loads((machine.image / "image.json").read_text())
    (machine.image / "image.json").write_text(json.dumps(facts | {"profile": "debug"}))
    async with machine.booted() as boot:
        await boot.reached(Phase.WAITING)
    assert boot.screen.count("DEBUG IMAGE: NOT FOR SECRETS") == 3


async def test_the_manifest_is_kept_for_services(machine: FakeMachine) -> None:
    async with machine.booted() as boot:
        await boot.reached(Phase.WAITING)
        kept = boot.settings.image_copy / "measurements.json"
        assert kept.read_bytes() == (machine.esp / "constellation" / "measurements.json").read_bytes()
        assert kept.stat().st_mode & 0o777 == 0o644
        assert (boot.settings.image_copy / "measurements.json.sig").exists()


async def test_a_manifest_of_another_key_is_refused(machine: FakeMachine) -> None:
    machine.sign(MEASUREMENTS, ANOTHER_KEY)
    async with machine.booted() as boot:
        await boot.reached(Phase.FAILED)
    assert "the image's manifest: image.signature" in boot.screen


async def test_a_manifest_that_was_changed_is_refused(machine: FakeMachine) -> None:
    path = machine.esp / "constellation" / "measurements.json"
    path.write_bytes(path.read_bytes().replace(b"qemu-vtpm", b"qemu-snp "))
    async with machine.booted() as boot:
        await boot.reached(Phase.FAILED)


async def test_a_manifest_that_is_too_large_is_refused(machine: FakeMachine) -> None:
    (machine.esp / "constellation" / "measurements.json").write_bytes(bytes(100_000))
    async with machine.booted() as boot:
        await boot.reached(Phase.FAILED)
    assert "expected at most 65536 bytes" in boot.screen


async def test_a_manifest_that_leads_elsewhere_is_refused(machine: FakeMachine) -> None:
    path = machine.esp / "constellation" / "measurements.json"
    path.unlink()
    path.symlink_to("/etc/passwd")
    async with machine.booted() as boot:
        await boot.reached(Phase.FAILED)
    assert "measurements.json cannot be read" in boot.screen


async def test_an_image_that_nobody_signed_says_so_and_goes_on(machine: FakeMachine) -> None:
    (machine.esp / "constellation" / "measurements.json.sig").unlink()
    async with machine.booted() as boot:
        await boot.reached(Phase.WAITING)
    assert "nobody has signed the measurements of this image" in boot.screen


async def test_a_boot_that_is_not_the_signed_one_says_so(machine: FakeMachine) -> None:
    machine.sign(MEASUREMENTS | {"9": {"expected": "ab" * 32, "enforced": True}})
    async with machine.booted() as boot:
        await boot.heard("the boot is not what the image's manifest says: measurements.9: expected abab")


async def test_metadata_is_waited_for(machine: FakeMachine) -> None:
    machine.write_metadata()
    (machine.drive / "metadata.json").write_text('{"version": 1}')
    async with machine.booted() as boot:
        await boot.heard("metadata lacks name")
        machine.write_metadata()
        await boot.reached(Phase.WAITING)


async def test_rules_come_before_the_node_waits(machine: FakeMachine) -> None:
    async with machine.booted() as boot:
        await boot.reached(Phase.WAITING)
    assert boot.mesh.protected == ""


async def test_without_rules_there_is_no_node(machine: FakeMachine) -> None:
    machine.moments.break_at("mesh.protect", PermanentError("the kernel has no nftables"))
    async with machine.booted() as boot:
        await boot.reached(Phase.FAILED)
        await boot.until(lambda: machine.moments.seen[-1:] == ["mesh.protect"], "end")


async def test_a_bug_before_the_mark_is_shown(machine: FakeMachine) -> None:
    machine.moments.break_at("disk.examine", ZeroDivisionError("a bug"))
    async with machine.booted() as boot:
        await boot.reached(Phase.FAILED)
    assert "ZeroDivisionError: a bug" in boot.screen


async def test_the_journal_is_for_everybody(machine: FakeMachine) -> None:
    async with machine.booted() as boot:
        await boot.reached(Phase.WAITING)
        journal = boot.settings.run / "phases.jsonl"
        assert journal.stat().st_mode & 0o777 == 0o644
        assert set(boot.journal[0]) == {"time", "uptime", "phase", "detail"}
