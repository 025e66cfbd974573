# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The TPM of a machine: its secrets outlive power cycles, and nobody but the machine speaks to it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from attestation.testing.swtpm import running_swtpm
from attestation.tpm.algorithms import HashAlgorithm
from attestation.tpm.client import Tpm
from attestation.tpm.structures import Hierarchy
from attestation.tpm.templates import ecc_attestation_key
from constellation_engine.machines import Machine, processes
from constellation_engine.machines.tpm import running_tpm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from constellation_engine.machines import MachineSpec

RSA_ENDORSEMENT_KEY, ECC_ENDORSEMENT_KEY = 0x81010001, 0x81010016


@pytest.fixture
def quick_tpm() -> None:
    """Here every machine gets a TPM that was made for it."""


@contextmanager
def opened(machine: Machine) -> Iterator[Tpm]:
    """Run the TPM of a machine that is switched off."""
    running = running_swtpm(machine.layout.tpm_state, transport="unix", endorsed=False)
    with running as swtpm, Tpm.open(swtpm.address) as tpm:
        yield tpm


def identity(machine: Machine) -> bytes:
    """Give the name of the attestation key: it grows from the seed of the TPM."""
    with opened(machine) as tpm, tpm.primary(Hierarchy.ENDORSEMENT, ecc_attestation_key()) as key:
        return key.name


def test_its_identity_outlives_power_cycles(machine: Machine) -> None:
    before = identity(machine)
    machine.start()
    machine.reset()
    machine.stop(timeout=0)
    assert identity(machine) == before


def test_two_machines_have_two_identities(machine: Machine, folder: Path, spec: MachineSpec) -> None:
    other = Machine.create(folder / "node-1", spec)
    assert identity(machine) != identity(other)


def test_it_has_endorsement_keys_and_one_bank(machine: Machine) -> None:
    with opened(machine) as tpm:
        keys = tpm.handles(RSA_ENDORSEMENT_KEY & 0xFF000000)
        banks = [selection.bank for selection in tpm.pcr_banks() if selection.mask]
    assert {RSA_ENDORSEMENT_KEY, ECC_ENDORSEMENT_KEY} <= set(keys)
    assert banks == [HashAlgorithm.SHA256]


def test_nobody_else_can_connect_to_it(machine: Machine) -> None:
    machine.start()
    sockets = [path for path in machine.layout.folder.rglob("*") if path.is_socket()]
    assert {path.name for path in sockets} == {"console.sock", "qmp.sock"}


def test_it_ends_when_there_is_no_machine_for_it(machine: Machine) -> None:
    def no_machine() -> None:
        with running_tpm(machine.layout):
            assert len(processes.running(machine.layout.tpm)) == 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        no_machine()
    assert processes.running(machine.layout.tpm) == []


def test_starting_it_ends_one_that_was_forgotten(machine: Machine) -> None:
    with running_tpm(machine.layout):
        (first,) = processes.running(machine.layout.tpm)
        with running_tpm(machine.layout):
            (second,) = processes.running(machine.layout.tpm)
    assert first != second
