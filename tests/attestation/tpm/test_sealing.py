# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Secrets sealed to registers, on a real TPM, and what somebody on the bus sees of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from attestation.errors import NotGenuineError, TpmError
from attestation.testing.swtpm import running_swtpm
from attestation.tpm.client import Tpm
from attestation.tpm.commands import Command
from attestation.tpm.device import open_device
from attestation.tpm.policies import policy_pcr_digest
from attestation.tpm.public import name_of
from attestation.tpm.sealing import seal, unseal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from attestation.tpm.device import Device

SECRET = b"a secret that is 32 bytes long.."


class Bus:
    """A device on whose wires somebody listens, and changes responses if he likes."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.seen: list[bytes] = []
        self.meddle: Callable[[int, bytes], bytes] = lambda _, response: response

    def transact(self, command: bytes) -> bytes:
        response = self.meddle(int.from_bytes(command[6:10], "big"), self.device.transact(command))
        self.seen += [command, response]
        return response

    def close(self) -> None:
        self.device.close()


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    with running_swtpm(tmp_path, endorsed=False) as running:
        bus = Bus(open_device(running.address))
        yield bus
        bus.close()


def test_secret_comes_back_while_registers_hold(fresh_tpm: Tpm) -> None:
    sealed = seal(fresh_tpm, SECRET, fresh_tpm.pcr_read([4, 9, 11]))
    assert unseal(fresh_tpm, sealed) == SECRET
    fresh_tpm.pcr_extend(15, bytes(32))  # not one of them
    assert unseal(fresh_tpm, sealed) == SECRET


def test_one_more_extend_closes_the_secret(fresh_tpm: Tpm) -> None:
    sealed = seal(fresh_tpm, SECRET, fresh_tpm.pcr_read([4, 9, 11]))
    fresh_tpm.pcr_extend(11, bytes(32))
    for _ in range(5):
        with pytest.raises(TpmError) as refusal:
            unseal(fresh_tpm, sealed)
        assert refusal.value.code == 0x99D
        assert "TPM_RC_POLICY_FAIL" in refusal.value.hint


def test_secret_can_be_sealed_to_values_of_the_future(fresh_tpm: Tpm) -> None:
    fresh_tpm.pcr_extend(11, bytes(32))
    future = fresh_tpm.pcr_read([11])
    sealed = seal(fresh_tpm, SECRET, {11: bytes(32)})
    with pytest.raises(TpmError):
        unseal(fresh_tpm, sealed)
    assert unseal(fresh_tpm, seal(fresh_tpm, SECRET, future)) == SECRET


def test_reboot_opens_it_and_another_tpm_does_not(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with running_swtpm(tmp_path / "a", endorsed=False) as running, Tpm.open(running.address) as tpm:
        sealed = seal(tpm, SECRET, tpm.pcr_read([7]))
    with running_swtpm(tmp_path / "a", endorsed=False) as running, Tpm.open(running.address) as tpm:
        assert unseal(tpm, sealed) == SECRET
    with running_swtpm(tmp_path / "b", endorsed=False) as running, Tpm.open(running.address) as tpm:
        with pytest.raises(NotGenuineError) as refusal:
            unseal(tpm, sealed)
        assert refusal.value.check == "tpm.storage_key"


def test_sealed_object_cannot_be_changed(fresh_tpm: Tpm) -> None:
    sealed = seal(fresh_tpm, SECRET, fresh_tpm.pcr_read([7]))
    other_policy = sealed.public.replace(policy_pcr_digest({7: bytes(32)}), policy_pcr_digest({7: b"\1" * 32}))
    assert other_policy != sealed.public
    for broken in (replace(sealed, public=other_policy), replace(sealed, private=bytes(len(sealed.private)))):
        with pytest.raises(TpmError):
            unseal(fresh_tpm, broken)


@pytest.mark.parametrize("secret", [b"", bytes(129)], ids=["empty", "too-long"])
def test_secret_of_a_wrong_size_is_refused(fresh_tpm: Tpm, secret: bytes) -> None:
    with pytest.raises(ValueError, match="1 to 128 bytes"):
        seal(fresh_tpm, secret, {7: bytes(32)})


def test_sealing_to_nothing_is_refused(fresh_tpm: Tpm) -> None:
    with pytest.raises(ValueError, match="at least one register"):
        seal(fresh_tpm, SECRET, {})


def test_listener_on_the_bus_never_sees_the_secret(bus: Bus) -> None:
    tpm = Tpm(bus)
    sealed = seal(tpm, SECRET, tpm.pcr_read([7]))
    assert unseal(tpm, sealed) == SECRET
    assert len(bus.seen) > 10
    assert all(SECRET not in message for message in bus.seen)


def test_meddler_on_the_bus_is_noticed(bus: Bus) -> None:
    tpm = Tpm(bus)
    sealed = seal(tpm, SECRET, tpm.pcr_read([7]))

    def flip_secret(code: int, response: bytes) -> bytes:
        return response[:18] + bytes([response[18] ^ 1]) + response[19:] if code == Command.UNSEAL else response

    bus.meddle = flip_secret
    with pytest.raises(NotGenuineError) as refusal:
        unseal(tpm, sealed)
    assert refusal.value.check == "tpm.session"


def test_slots_are_freed_when_the_response_was_changed(bus: Bus) -> None:
    tpm = Tpm(bus)
    sealed = seal(tpm, SECRET, tpm.pcr_read([7]))

    def flip_signature(code: int, response: bytes) -> bytes:
        return response[:-1] + bytes([response[-1] ^ 1]) if code == Command.UNSEAL else response

    bus.meddle = flip_signature
    for _ in range(5):
        with pytest.raises(NotGenuineError):
            unseal(tpm, sealed)
    bus.meddle = lambda _, response: response
    assert unseal(tpm, sealed) == SECRET


def test_record_names_the_storage_key(fresh_tpm: Tpm) -> None:
    sealed = seal(fresh_tpm, SECRET, fresh_tpm.pcr_read([0, 15]))
    assert sealed.registers == (0, 15)
    assert sealed.parent_name[:2] == b"\x00\x0b"
    assert name_of(sealed.public)[:2] == b"\x00\x0b"
