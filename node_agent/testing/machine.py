# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A machine that is switched on, cut off and switched on again: real TPM, real channel, fake parts.

machine = FakeMachine(tmp_path, name="control-0", role="control-plane")
async with machine.booted() as boot:
await boot.reached(Phase.WAITING)
async with boot.administrator() as channel:
...
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import shutil
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from attestation.case import Mark
from attestation.judge import judge
from attestation.policy import Policy
from attestation.testing.swtpm import running_swtpm
from attestation.tpm.client import Tpm
from attestation.variant import Variant
from constellation_core.channel.client import attested_channel
from constellation_core.channel.verifier import PolicyVerifier
from constellation_core.image_manifest import sign
from node_agent.console import Console, View
from node_agent.device import NodeDevice
from node_agent.image import FOLDER, MANIFEST, SIGNATURE
from node_agent.machine import Parts
from node_agent.metadata.config_drive import ConfigDrive
from node_agent.phases import FILE_NAME, Journal, Phase
from node_agent.reporter import Reporter
from node_agent.settings import Settings
from node_agent.state_machine import StateMachine
from node_agent.systemd import ServiceManager
from node_agent.testing.moments import Moments
from node_agent.testing.parts import FakeDisk, FakeKubernetes, FakeMesh, FakePower

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from attestation.testing.swtpm import Swtpm
    from constellation_core.channel.client import AttestedChannel
    from constellation_core.keys.secret import Secret
    from node_agent.image import ImageFacts
    from node_agent.metadata.record import Metadata

KUBERNETES: Final = "v1.36.4"
COMPONENTS: Final = [{"name": "kubelet", "version": "1.36.4", "sha256": "ab" * 32}]
IMAGE_KEY: Final = ec.derive_private_key(7, ec.SECP256R1())
BOOT_TIME: Final = 20.0  # seconds that a test waits for a phase

_MEASURED: Final = {register: hashlib.sha256(b"register %d" % register).digest() for register in (4, 9, 11)}
MEASUREMENTS: Final = {
    str(register): {"expected": value, "enforced": True}
    for register, value in {
        **{register: hashlib.sha256(bytes(32) + digest).hexdigest() for register, digest in _MEASURED.items()},
        12: bytes(32).hex(),
        13: bytes(32).hex(),
    }.items()
}
"""What such a machine measures."""


@dataclass(slots=True)
class Boot:
    """A machine that runs.

    Attributes:
        settings: of its agent.
        disk: its disk.
        mesh: its mesh.
        kubernetes: its Kubernetes.
        power: its power.
        tpm: its TPM.
        living: its agent.
    """

    settings: Settings
    disk: FakeDisk
    mesh: FakeMesh
    kubernetes: FakeKubernetes
    power: FakePower
    tpm: Swtpm
    machine: FakeMachine
    living: asyncio.Task[Secret] = field(init=False)

    @property
    def journal(self) -> list[dict[str, Any]]:
        """What it says that it did."""
        path = self.settings.run / FILE_NAME
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def phases(self) -> list[str]:
        """Its phases in order, each once in a row."""
        names = [entry["phase"] for entry in self.journal]
        return [name for index, name in enumerate(names) if index == 0 or names[index - 1] != name]

    @property
    def said(self) -> str:
        """Everything it said, as one text."""
        return "\n".join(entry["detail"] for entry in self.journal)

    @property
    def screen(self) -> str:
        """What its console shows."""
        return self.settings.console.read_text()

    async def reached(self, phase: Phase) -> None:
        """Wait until it is in a phase.

        Raises:
            AssertionError: it does not get there; says where it is.
        """
        await self.until(lambda: self.phases[-1:] == [phase], f"phase {phase}")

    async def heard(self, words: str) -> None:
        """Wait until it has said something."""
        await self.until(lambda: words in self.said, repr(words))

    async def until(self, condition: Any, what: str) -> None:  # noqa: ANN401 - any call
        """Wait until something is so."""
        try:
            async with asyncio.timeout(BOOT_TIME):
                while not condition():
                    if self.living.done():
                        self.living.result()
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise AssertionError(f"no {what} within {BOOT_TIME:g} s; it said:\n{self.said}") from None

    @asynccontextmanager
    async def administrator(self, port: int, mark: Mark | bytes = Mark.UNMARKED) -> AsyncIterator[AttestedChannel]:
        """Connect as an administrator does, who judges the machine.

        Args:
            port: of the machine.
            mark: what it must carry; who comes back to a run that has begun knows the cluster ID.
        """
        policy = Policy.from_mapping({"variant": "qemu-vtpm", "measurements": MEASUREMENTS})
        verifier = PolicyVerifier(policies=[policy], mark=mark)
        async with attested_channel("127.0.0.1", port, verifier=verifier) as channel:
            yield channel

    @property
    def init_port(self) -> int:
        """Where it says that it waits for init."""
        return self._port_in(Phase.WAITING)

    @property
    def init_ports(self) -> list[int]:
        """Every port on which it said that it waits for init."""
        return [int(port) for port in re.findall(r"init on port (\d+)", self.said)]

    @property
    def recover_port(self) -> int:
        """Where it says that it waits for recovery."""
        return self._port_in(Phase.LOCKED)

    def _port_in(self, phase: Phase) -> int:
        found = [re.search(r"on port (\d+)", entry["detail"]) for entry in self.journal if entry["phase"] == phase]
        return next(int(match[1]) for match in found if match is not None)

    async def identity(self) -> bytes | None:
        """Stop the agent, and find out what identifies the machine, as others see it: swtpm serves one at a time."""
        self.living.cancel()
        await asyncio.gather(self.living, return_exceptions=True)
        return await asyncio.to_thread(self._identity)

    def _identity(self) -> bytes | None:
        device = NodeDevice(Variant.QEMU_VTPM, self.settings.run, tpm=self.tpm.address)
        policy = Policy.from_mapping({"variant": "qemu-vtpm", "measurements": MEASUREMENTS})
        evidence = device.issue(bytes(32))
        return judge(evidence, policy, binding=bytes(32), at=datetime.now(UTC), mark=Mark.ANY).identity

    def listens(self, port: int) -> bool:
        """Whether somebody listens on a port of this machine."""
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
        except OSError:
            return False
        return True

    def registers(self) -> dict[int, bytes]:
        """Read the registers, when the agent does not."""
        with Tpm.open(self.tpm.address) as tpm:
            return tpm.pcr_read((4, 9, 11, 15))


class FakeMachine:
    """A machine: what stays when the power goes.

    Args:
        folder: where everything is.
        profile: of its image.
        metadata: what the platform says of it; name and role have defaults.

    Attributes:
        moments: what happens at which moment.
        metadata: what the platform says of it.
        settings: other settings than the defaults.
        etcd: members that it made its cluster's etcd take in.
    """

    def __init__(self, folder: Path, *, profile: str = "release", **metadata: Any) -> None:  # noqa: ANN401 - as the format says
        self.folder = folder
        self.profile = profile
        self.moments = Moments()
        self.etcd: list[str] = []
        self.metadata: dict[str, Any] = {"version": 1, "name": "control-0", "role": "control-plane", **metadata}
        self.settings: dict[str, Any] = {}
        (folder / "tpm").mkdir(parents=True)
        self._write_image()

    @property
    def image(self) -> Path:
        """Facts of its image."""
        return self.folder / "image"

    @property
    def esp(self) -> Path:
        """Its ESP."""
        return self.folder / "esp"

    @property
    def drive(self) -> Path:
        """Its config drive."""
        return self.folder / "drive"

    def write_metadata(self, **changes: Any) -> None:  # noqa: ANN401 - as the format says
        """Write the config drive, with what changes."""
        self.metadata |= changes
        self.drive.mkdir(exist_ok=True)
        (self.drive / "metadata.json").write_text(json.dumps(self.metadata))

    @asynccontextmanager
    async def booted(self) -> AsyncIterator[Boot]:
        """Switch the machine on; the end of the block is the end of the power."""
        run, state = self.folder / "run", self.folder / "state"
        shutil.rmtree(run, ignore_errors=True)
        state.unlink(missing_ok=True)
        run.mkdir()
        if not (self.drive / "metadata.json").exists():
            self.write_metadata()
        with running_swtpm(self.folder / "tpm", endorsed=False) as tpm:
            with Tpm.open(tpm.address) as registers:
                for register, digest in _MEASURED.items():
                    registers.pcr_extend(register, digest)
            async with self._living(run, state, tpm) as boot:
                yield boot

    @asynccontextmanager
    async def again(self, boot: Boot, *, mark: bytes) -> AsyncIterator[Boot]:
        """Start another agent in a boot that was marked meanwhile."""
        boot.living.cancel()
        await asyncio.gather(boot.living, return_exceptions=True)
        with Tpm.open(boot.tpm.address) as registers:
            registers.pcr_event(15, mark)
        (boot.settings.run / FILE_NAME).unlink()
        async with self._living(boot.settings.run, boot.settings.state, boot.tpm) as later:
            yield later

    @asynccontextmanager
    async def succeeded(self, boot: Boot, *, inherited: int) -> AsyncIterator[Boot]:
        """Start the agent that follows another in the same boot.

        Args:
            boot: of the agent before it.
            inherited: file descriptor of what that one hands over.
        """
        self.settings["inherited"] = inherited
        async with self._living(boot.settings.run, boot.settings.state, boot.tpm) as later:
            yield later

    @asynccontextmanager
    async def _living(self, run: Path, state: Path, tpm: Swtpm) -> AsyncIterator[Boot]:
        """Run an agent; it ends with the block."""
        boot = self._boot(run, state, tpm)
        try:
            yield boot
        finally:
            boot.living.cancel()
            await asyncio.gather(boot.living, return_exceptions=True)

    def _boot(self, run: Path, state: Path, tpm: Swtpm) -> Boot:
        settings = Settings(
            **{
                "image": self.image,
                "esp": self.esp,
                "config_drive": self.drive,
                "state": state,
                "run": run,
                "console": run / "console",
                "tpm": tpm.address,
                "host": "127.0.0.1",
                "init_port": 0,
                "recover_port": 0,
                "status_port": 0,
                "device_patience": 1.0,
                "reading_time": 0.0,
                **self.settings,
            }
        )
        settings.console.touch()
        boot = Boot(
            settings,
            FakeDisk(self.folder / "disk", state, self.moments),
            FakeMesh(self.moments),
            FakeKubernetes(self.moments, state, self.etcd),
            FakePower(self.moments),
            tpm,
            self,
        )
        with ServiceManager({}) as manager:
            reporter = Reporter(Journal(run), Console(settings.console), manager, View())
        parts = Parts(disk=boot.disk, mesh=boot.mesh, kubernetes=boot.kubernetes, power=boot.power)
        boot.living = asyncio.create_task(StateMachine(settings, reporter, GivenParts(settings, parts)).run())
        return boot

    def _write_image(self) -> None:
        facts = {
            "version": 1,
            "name": "constellation",
            "image_version": "1.0.0",
            "variant": "qemu-vtpm",
            "profile": self.profile,
            "kubernetes": KUBERNETES,
        }
        self.image.mkdir()
        (self.image / "image.json").write_text(json.dumps(facts))
        public = IMAGE_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (self.image / "image.pub").write_bytes(public)
        self.sign(MEASUREMENTS)

    def sign(self, measurements: dict[str, Any], key: ec.EllipticCurvePrivateKey = IMAGE_KEY) -> None:
        """Write a manifest onto the ESP."""
        document = {
            "version": 1,
            "image": "constellation 1.0.0",
            "variant": "qemu-vtpm",
            "measurements": measurements,
            "launch_digests": [],
            "components": COMPONENTS,
            "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "stub": "257.9",
        }
        signed = sign(json.dumps(document).encode(), key)
        folder = self.esp / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MANIFEST).write_bytes(signed.document)
        (folder / SIGNATURE).write_text(signed.signature_text)


@dataclass(frozen=True, slots=True)
class GivenParts:
    """An assembly of what a test gives.

    Attributes:
        settings: of the agent.
        given: parts of the machine.
        speaker: what speaks for the machine; None for the TPM of the settings.
    """

    settings: Settings
    given: Parts
    speaker: NodeDevice | None = None

    def device(self, facts: ImageFacts) -> NodeDevice:
        """Give what speaks for the machine."""
        return self.speaker or NodeDevice(facts.variant, self.settings.run, tpm=self.settings.tpm)

    def source(self, facts: ImageFacts) -> ConfigDrive:
        """Give the config drive."""
        del facts
        return ConfigDrive(self.settings.config_drive)

    def parts(self, facts: ImageFacts, metadata: Metadata) -> Parts:
        """Give the parts."""
        del facts, metadata
        return self.given
