# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The state machine with a real state disk and a real mesh: device-mapper, ext4, WireGuard and nftables of a kernel."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from attestation.qemu.issuer import VtpmIssuer
from attestation.testing.swtpm import Swtpm
from attestation.testing.tpm import SoftwareTpm
from attestation.variant import Variant
from constellation_core.keys.key_material import KeyMaterial
from constellation_core.keys.master_secret import MasterSecret
from constellation_proto import init_pb2, recover_pb2
from constellation_proto.init_grpc import InitStub
from constellation_proto.recover_grpc import RecoverStub
from node_agent.console import SHOWN_REGISTERS, Console, View
from node_agent.device import NodeDevice
from node_agent.disk import StateDisk
from node_agent.machine import Parts
from node_agent.network import Mesh
from node_agent.phases import Journal, Phase
from node_agent.reporter import Reporter
from node_agent.settings import Settings
from node_agent.state_machine import StateMachine
from node_agent.systemd import ServiceManager
from node_agent.testing.machine import MEASUREMENTS, Boot, FakeMachine, GivenParts
from node_agent.testing.parts import KUBECONFIG, FakeKubernetes, FakePower

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from attestation.evidence import Evidence
    from node_agent.testing.parts import FakeDisk, FakeMesh

pytestmark = [pytest.mark.guest, pytest.mark.slow]

Requests = Callable[..., init_pb2.InitRequest]
STATE = Path("/run/state")
SIZE = 256 << 20


class SoftwareDevice(NodeDevice):
    """A TPM in this process: the guest has none."""

    def __init__(self, run: Path) -> None:
        super().__init__(Variant.QEMU_VTPM, run)
        self._software = SoftwareTpm()
        for register, value in MEASUREMENTS.items():
            self._software.pcrs[int(register)] = bytes.fromhex(str(value["expected"]))

    def issue(self, binding: bytes) -> Evidence:
        return VtpmIssuer(self.variant, self._software).issue(binding)

    def registers(self) -> dict[int, bytes]:
        return {index: self._software.pcrs[index] for index in SHOWN_REGISTERS}

    def _extend(self, cluster_id: bytes) -> None:
        self._software.event(15, cluster_id)


@pytest.fixture(autouse=True)
def modules() -> None:
    """Load what an image loads at boot."""
    subprocess.run(["modprobe", "--all", "wireguard", "br_netfilter"], check=True)


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Path]:
    """An empty disk."""
    file = tmp_path / "disk.raw"
    with file.open("wb") as stream:
        stream.truncate(SIZE)
    losetup = ["losetup", "--find", "--show", str(file)]
    found = subprocess.run(losetup, check=True, capture_output=True, text=True).stdout.strip()
    yield Path(found)
    subprocess.run(["losetup", "--detach", found], check=True)
    file.unlink()


@asynccontextmanager
async def booted(machine: FakeMachine, device: Path) -> AsyncIterator[Boot]:
    """Run the agent on real parts; in the end let go of them, as a reboot does."""
    run = machine.folder / "run"
    shutil.rmtree(run, ignore_errors=True)
    run.mkdir()
    machine.write_metadata()
    settings = Settings(
        image=machine.image,
        esp=machine.esp,
        config_drive=machine.drive,
        state=STATE,
        run=run,
        console=run / "console",
        host="127.0.0.1",
        init_port=0,
        recover_port=0,
        reading_time=0.0,
    )
    settings.console.touch()
    kubernetes, power = FakeKubernetes(machine.moments, STATE), FakePower(machine.moments)
    disk, mesh = StateDisk(device, mount_point=STATE), Mesh(tcp_ports=(6443, 9000, 9999))
    fakes = cast("FakeDisk", disk), cast("FakeMesh", mesh)
    boot = Boot(settings, *fakes, kubernetes, power, Swtpm("", run), machine)
    parts = Parts(disk=disk, mesh=mesh, kubernetes=kubernetes, power=power)
    assembly = GivenParts(settings, parts, SoftwareDevice(run))
    with ServiceManager({}) as manager:
        reporter = Reporter(Journal(run), Console(settings.console), manager, View())
    boot.living = asyncio.create_task(StateMachine(settings, reporter, assembly).run())
    try:
        yield boot
    finally:
        boot.living.cancel()
        await asyncio.gather(boot.living, return_exceptions=True)
        await mesh.close()
        await disk.close()


async def init(boot: Boot, request: init_pb2.InitRequest) -> bytes:
    await boot.reached(Phase.WAITING)
    async with boot.administrator(boot.init_port) as channel:
        events = await InitStub(channel).Init(request)
    await boot.reached(Phase.SERVING)
    return events[-1].done.kubeconfig


def addresses_of(interface: str) -> str:
    done = subprocess.run(["ip", "-4", "addr", "show", interface], check=False, capture_output=True, text=True)
    return done.stdout


@pytest.mark.timeout(240)
async def test_a_control_plane_comes_back_with_all_that_it_had(
    machine: FakeMachine, device: Path, init_request: Requests, master: MasterSecret, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node_agent.testing.machine.BOOT_TIME", 120.0)
    async with booted(machine, device) as boot:
        assert await init(boot, init_request()) == KUBECONFIG
        assert "10.213.1.1" in addresses_of("constellation0")
        (STATE / "etcd").write_text("all objects")
    assert addresses_of("constellation0") == ""
    assert not (STATE / "etcd").exists()
    async with booted(machine, device) as boot:
        await boot.reached(Phase.LOCKED)
        async with boot.administrator(boot.recover_port) as channel:
            material = KeyMaterial.of(master).to_message()
            answer = await RecoverStub(channel).Recover(recover_pb2.RecoverRequest(key_material=material))
        await boot.reached(Phase.SERVING)
        assert answer.kubeconfig == KUBECONFIG
        assert (STATE / "etcd").read_text() == "all objects"
        assert "10.213.1.1" in addresses_of("constellation0")


@pytest.mark.timeout(240)
async def test_wrong_keys_open_nothing_and_the_right_ones_still_do(
    machine: FakeMachine, device: Path, init_request: Requests, master: MasterSecret, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node_agent.testing.machine.BOOT_TIME", 120.0)
    async with booted(machine, device) as boot:
        await init(boot, init_request())
    async with booted(machine, device) as boot:
        await boot.reached(Phase.LOCKED)
        async with boot.administrator(boot.recover_port) as channel:
            stub = RecoverStub(channel)
            wrong = KeyMaterial.of(MasterSecret.random()).to_message()
            with pytest.raises(Exception, match="another disk's"):
                await stub.Recover(recover_pb2.RecoverRequest(key_material=wrong))
            assert not (STATE / "constellation").exists()
            right = KeyMaterial.of(master).to_message()
            await stub.Recover(recover_pb2.RecoverRequest(key_material=right))
        await boot.reached(Phase.SERVING)


@pytest.mark.timeout(240)
async def test_a_machine_that_lost_its_power_before_it_was_a_node_begins_again_with_the_same_disk(
    machine: FakeMachine, device: Path, init_request: Requests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node_agent.testing.machine.BOOT_TIME", 120.0)
    request = init_request()
    machine.moments.cut_at("kubernetes.init")
    async with booted(machine, device) as boot:
        first = asyncio.create_task(init(boot, request))
        await machine.moments.dark.wait()
        disk = next(entry["detail"] for entry in boot.journal if entry["detail"].startswith("state disk "))
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    machine.moments.mend()
    async with booted(machine, device) as boot:
        assert await init(boot, request) == KUBECONFIG
        assert disk in boot.said
