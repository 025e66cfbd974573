# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Ways to a TPM, and devices that lie, hang, die, or are not there."""

from __future__ import annotations

import os
import socket
import threading
import tty
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from attestation.errors import DeviceError, MalformedError, TpmError
from attestation.tpm.client import Tpm
from attestation.tpm.device import CharacterDevice, SocketDevice, open_device

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from attestation.testing.swtpm import Swtpm

RANDOM = bytes.fromhex("8001 00000010 00000000 0004 01020304")
COMMAND = bytes.fromhex("8001 0000000c 0000017b 0004")


@contextmanager
def answering(*responses: bytes) -> Iterator[SocketDevice]:
    """A TPM that gives these responses, whatever it is asked, and then closes."""
    ours, theirs = socket.socketpair()

    def serve() -> None:
        with theirs:
            for response in responses:
                theirs.recv(4096)
                theirs.sendall(response)

    server = threading.Thread(target=serve)
    server.start()
    ours.settimeout(10)
    device = SocketDevice(ours, "test")
    try:
        yield device
    finally:
        device.close()
        server.join()


def test_response_comes_back_whole() -> None:
    with answering(RANDOM) as device:
        assert device.transact(COMMAND) == RANDOM


@pytest.mark.parametrize(
    "response",
    [b"", RANDOM[:5], RANDOM[:-1], b"\xff" * 10, bytes(10), b"HTTP/1.1 400 Bad Request\r\n"],
    ids=["closed", "half-a-header", "cut", "endless", "zeros", "web-server"],
)
def test_what_is_no_response_is_refused_and_the_device_closed(response: bytes) -> None:
    with answering(response) as device:
        with pytest.raises(DeviceError):
            device.transact(COMMAND)
        with pytest.raises(DeviceError):
            device.transact(COMMAND)


def test_silent_tpm_is_given_up() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        ours.settimeout(0.01)
        device = SocketDevice(ours, "test")
        with pytest.raises(DeviceError, match="timed out"):
            device.transact(COMMAND)
        with pytest.raises(BrokenPipeError):
            theirs.sendall(RANDOM)  # too late: it must not pass for the answer to another command
        with pytest.raises(DeviceError):
            device.transact(COMMAND)


def test_command_is_sent_again_while_the_tpm_tests_itself() -> None:
    testing = bytes.fromhex("8001 0000000a 0000090a")
    with answering(testing, testing, RANDOM) as device:
        assert Tpm(device).get_random(4) == b"\1\2\3\4"


def test_tpm_that_never_stops_testing_itself_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attestation.tpm.connection.FIRST_PAUSE", 0.0001)
    with answering(*[bytes.fromhex("8001 0000000a 0000090a")] * 6) as device, pytest.raises(TpmError) as refusal:
        Tpm(device).get_random(4)
    assert "TPM_RC_TESTING" in refusal.value.hint


@pytest.mark.parametrize(
    "response",
    ["8001 0000000c 00000000 0000", "8001 0000000c 00000000 0020", "8003 0000000c 00000000 0000"],
    ids=["no-bytes", "length-beyond-the-end", "unknown-tag"],
)
def test_tpm_that_talks_nonsense_is_refused(response: str) -> None:
    with answering(bytes.fromhex(response)) as device, pytest.raises((DeviceError, MalformedError)):
        Tpm(device).get_random(4)


@contextmanager
def terminal() -> Iterator[tuple[int, str]]:
    """A character device of the kernel, whose other end is ours."""
    controller, device = os.openpty()
    tty.setraw(device)
    try:
        yield controller, os.ttyname(device)
    finally:
        os.close(device)
        os.close(controller)


def test_character_device() -> None:
    with terminal() as (controller, path):
        device = CharacterDevice(path, timeout=10)
        server = threading.Thread(target=lambda: (os.read(controller, 4096), os.write(controller, RANDOM)))
        server.start()
        assert device.transact(COMMAND) == RANDOM
        server.join()
        device.close()
        device.close()
        with pytest.raises(DeviceError):
            device.transact(COMMAND)


def test_silent_character_device_is_given_up() -> None:
    with terminal() as (_, path):
        device = CharacterDevice(path, timeout=0.01)
        with pytest.raises(DeviceError, match="did not answer within"):
            device.transact(COMMAND)
        with pytest.raises(DeviceError):
            device.transact(COMMAND)


def test_machine_without_tpm_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="no TPM at") as refusal:
        Tpm.open(str(tmp_path / "tpmrm0"))
    assert refusal.value.hint


def test_device_that_may_not_be_used_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="cannot use the TPM") as refusal:
        Tpm.open(str(tmp_path))  # a directory cannot be opened for writing, whoever asks
    assert "tss" in refusal.value.hint


@pytest.mark.parametrize(
    "address",
    ["tcp://127.0.0.1", "tcp://:1", "tcp://127.0.0.1:port", "http://127.0.0.1:80", ":", "tcp://127.0.0.1:²"],
)
def test_address_of_nothing_is_refused_with_examples(address: str) -> None:
    with pytest.raises(DeviceError) as refusal:
        open_device(address)
    assert "unix:///PATH" in refusal.value.hint


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:70000", "unix:///nowhere", "unix://" + "x" * 200, "unix:"])
def test_nobody_at_the_address_is_told_so(address: str) -> None:
    with pytest.raises(DeviceError) as refusal:
        open_device(address)
    assert refusal.value.hint == "does swtpm run there?"


def test_threads_share_a_client(swtpm: Swtpm) -> None:
    lengths: list[int] = []
    with Tpm.open(swtpm.address) as tpm:
        threads = [
            threading.Thread(target=lambda: lengths.extend(len(tpm.get_random(16)) for _ in range(50)))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert lengths == [16] * 200
