# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Networks of machines: forwards of the loopback, and segments that clusters do not share."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from constellation_core.conditions import Condition, wait_for
from constellation_engine.errors import PortTakenError
from constellation_engine.machines import Forward, Machine, MachineState, Segment
from constellation_engine.machines.host import check_ports, choose_ports

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from constellation_engine.machines import MachineSpec

FRAME = b"\xff" * 6 + bytes.fromhex("525400123456") + b"\x88\xb5" + b"a frame that nobody else sends".ljust(60, b".")


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def send(segment: Segment, frame: bytes) -> None:
    """Put a frame on a segment, as a machine does."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        sender.sendto(frame, (str(segment.group), segment.port))


@contextmanager
def on_segment(folder: Path, name: str, spec: MachineSpec, cluster: str) -> Iterator[Machine]:
    """Run a machine on the segment of a cluster, recorded."""
    machine = Machine.create(folder / name, replace(spec, segment=Segment.of(cluster), capture=True))
    machine.start()
    try:
        yield machine
    finally:
        machine.destroy()


def saw(machine: Machine, frame: bytes) -> bool:
    return frame in machine.layout.capture.read_bytes()


def arrives(machine: Machine, segment: Segment, frame: bytes) -> Condition:
    def look() -> str | None:
        if not saw(machine, frame):
            send(segment, frame)  # again: nobody promises that a datagram arrives
        return None if saw(machine, frame) else "no such frame"

    return Condition(f"{machine.name} sees the frame", look)


def test_machines_of_a_cluster_share_a_segment_and_others_see_nothing(
    folder: Path, spec: MachineSpec, tmp_path: Path
) -> None:
    ours, theirs = str(tmp_path / "ours"), str(tmp_path / "theirs")  # no other test run has these
    segment = Segment.of(ours)
    with (
        on_segment(folder, "node-0", spec, ours) as first,
        on_segment(folder, "node-1", spec, ours) as second,
        on_segment(folder, "stranger", spec, theirs) as stranger,
    ):
        wait_for([arrives(machine, segment, FRAME) for machine in (first, second)], timeout=30)
        other = FRAME.replace(b"a frame", b"another")
        wait_for([arrives(stranger, Segment.of(theirs), other)], timeout=30)
        assert not saw(stranger, FRAME)
        assert not saw(first, other)


def test_a_forward_is_open_while_the_machine_runs(folder: Path, spec: MachineSpec) -> None:
    machine = Machine.create(folder / "node-0", replace(spec, forwards=(Forward("init", 9000),)))
    address = ("127.0.0.1", machine.spec.host_port("init"))
    machine.start()
    socket.create_connection(address, timeout=10).close()
    machine.stop(timeout=0)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=10)


def test_ports_stay_over_power_cycles(folder: Path, spec: MachineSpec) -> None:
    machine = Machine.create(folder / "node-0", replace(spec, forwards=(Forward("init", 9000),)))
    port = machine.spec.host_port("init")
    machine.start()
    machine.reset()
    assert machine.spec.host_port("init") == port
    socket.create_connection(("127.0.0.1", port), timeout=10).close()


def test_a_port_that_somebody_has_is_named(folder: Path, spec: MachineSpec, taken: int) -> None:
    machine = Machine.create(folder / "node-0", replace(spec, forwards=(Forward("recover", 9999, taken),)))
    with pytest.raises(PortTakenError, match=rf"port {taken} of 127\.0\.0\.1 \(recover\)") as caught:
        machine.start()
    assert (caught.value.name, caught.value.port) == ("recover", taken)
    assert str(taken) in caught.value.hint
    assert machine.status().state is MachineState.STOPPED


def test_two_machines_cannot_have_the_same_port(folder: Path, spec: MachineSpec) -> None:
    (port,) = choose_ports([Forward("init", 9000)]).values()
    asked = replace(spec, forwards=(Forward("init", 9000, port),))
    first, second = (Machine.create(folder / name, asked) for name in ("node-0", "node-1"))
    first.start()
    with pytest.raises(PortTakenError):
        second.start()


def test_chosen_ports_are_free_and_different() -> None:
    forwards = [Forward(f"port-{number}", number) for number in range(1, 51)]
    ports = choose_ports(forwards)
    assert len(set(ports.values())) == len(forwards)
    check_ports(replace(forward, host_port=ports[forward.name]) for forward in forwards)


def test_given_ports_are_not_chosen() -> None:
    assert choose_ports([Forward("init", 9000, 20000)]) == {}
