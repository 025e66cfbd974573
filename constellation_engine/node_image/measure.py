# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Boot an image, ask the machine for evidence, and see that it measured what was predicted.

The machine is a real one (`constellation_engine.machines`), thrown away in the end. Its agent waits on port 9000 for an
administrator, who gets evidence before he says a word: registers quoted by the TPM, and the boot's event log. So this
is what any cluster does first, and no back door of the image is needed for it.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from attestation.measured_boot.predict import predict_file
from attestation.tpm.algorithms import HashAlgorithm
from attestation.tpm.event_log import parse_event_log
from attestation.tpm.replay import replay
from attestation.variant import Variant
from constellation_core.channel.client import attested_channel
from constellation_core.channel.verifier import PolicyVerifier
from constellation_core.errors import ChannelError, PeerUnavailableError
from constellation_engine.components.watch import Stage, Watch
from constellation_engine.errors import MachineFailedError, NodeImageError
from constellation_engine.machines import Forward, Machine, MachineSpec, MachineState
from constellation_engine.node_image.image_folder import ImageFile

if TYPE_CHECKING:
    from collections.abc import Collection

    from attestation.evidence import Evidence
    from attestation.verdict import Verdict
    from constellation_core.image_manifest import SignedManifest
    from constellation_engine.components import Report
    from constellation_engine.node_image.image_folder import ImageFolder

DEFAULT_TIMEOUT: Final = 300.0  # seconds; 40 on two slow cores without hardware virtualisation
MEANING: Final = {
    4: "boot loader and kernel",
    9: "command line and initrd",
    11: "sections of the unified kernel image",
    12: "parameters given at boot",
    13: "extensions given at boot",
    15: "mark of the cluster",
}
"""Register → what it stands for, for people."""

LOGGED: Final = (*range(10), *range(11, 16))
"""Registers that a boot's log explains. In 10 the kernel measures by itself (IMA), 16 is for debugging, and 17 to 22
belong to a dynamic launch, which nobody does."""

_INIT_PORT: Final = 9000
_NAME: Final = "measured-node"
_ATTEMPT: Final = 30.0  # seconds for one try to connect and to be shown evidence
_PAUSE: Final = 0.5
_CONSOLE_LINES: Final = 12
_STATE_DISK: Final = 1024  # MiB: enough for one that nobody will use
_NOT_A_HASH: Final = "$2b$12$" + "." * 53  # of a secret that nobody has: nobody shall initialise this machine


@dataclass(frozen=True, slots=True)
class RegisterReading:
    """One register.

    Attributes:
        index: of it.
        predicted: from the image alone.
        booted: quoted by the TPM.
    """

    index: int
    predicted: bytes
    booted: bytes

    @property
    def equal(self) -> bool:
        """Whether prediction and reality are the same."""
        return self.predicted == self.booted


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What a boot of an image measured.

    Attributes:
        registers: those that an image predicts.
        unexplained: registers that the boot's event log does not explain; empty if it replays to what was quoted.
        events: number of entries of the log.
        seconds: from power-on until the agent answered.
        verdict: what a policy of the signed measurements says.
    """

    registers: tuple[RegisterReading, ...]
    unexplained: tuple[int, ...]
    events: int
    seconds: float
    verdict: Verdict

    @property
    def agrees(self) -> bool:
        """Whether the boot measured what was predicted, and the log explains it."""
        return all(register.equal for register in self.registers) and not self.unexplained and self.verdict.accepted

    def to_mapping(self) -> dict[str, Any]:
        """Give plain data."""
        return {
            "version": 1,
            "agrees": self.agrees,
            "seconds": round(self.seconds, 1),
            "registers": [
                {
                    "register": register.index,
                    "meaning": MEANING[register.index],
                    "predicted": register.predicted.hex(),
                    "booted": register.booted.hex(),
                    "equal": register.equal,
                }
                for register in self.registers
            ],
            "event_log": {"entries": self.events, "unexplained": list(self.unexplained)},
            "accepted": self.verdict.accepted,
            "mismatches": [str(mismatch) for mismatch in self.verdict.mismatches],
            "warnings": list(self.verdict.warnings),
        }


def measure(folder: ImageFolder, *, report: Report, timeout: float = DEFAULT_TIMEOUT) -> Measurement:
    """Boot an image and compare.

    Args:
        folder: the image; its target must be one that can be booted here: `qemu-vtpm`.
        report: is told how it goes.
        timeout: seconds until the agent must have answered.

    Raises:
        NodeImageError: it is for another platform, or the machine did not come up; carries the end of its console.
        MachineError: no machine can be started here.
    """
    record = folder.read_build()
    if record.variant is not Variant.QEMU_VTPM:
        raise NodeImageError(
            f"{folder.path}: an image for {record.variant} cannot be booted here, expected qemu-vtpm",
            hint="constellation image predict says what it will measure",
        )
    with TemporaryDirectory(prefix="constellation-measure-") as name:
        machine = Machine.create(Path(name, _NAME), _spec(folder))
        try:
            start = time.monotonic()
            machine.start()
            verdict = asyncio.run(_meet(machine, folder, timeout, Watch(timeout, report)))
            return _compare(folder, verdict, time.monotonic() - start)
        finally:
            machine.destroy()


@dataclass(slots=True)
class _Witness:
    """Judges like others, and remembers."""

    judges: PolicyVerifier
    verdict: Verdict | None = field(default=None)

    @property
    def variants(self) -> Collection[Variant]:
        return self.judges.variants

    def judge(self, evidence: Evidence, *, binding: bytes, image: SignedManifest | None) -> Verdict:
        self.verdict = self.judges.judge(evidence, binding=binding, image=image)
        return self.verdict


async def _meet(machine: Machine, folder: ImageFolder, seconds: float, watch: Watch) -> Verdict:
    """Connect again and again until the agent shows evidence."""
    witness = _Witness(PolicyVerifier(policies=[folder.policy()]))
    port = machine.spec.host_port("init")
    last = "nobody listens"
    try:
        async with asyncio.timeout(seconds):
            while True:
                _check_alive(machine)
                watch.tell(_NAME, Stage.BOOTING, _last_line(machine))
                try:
                    async with attested_channel("127.0.0.1", port, verifier=witness, timeout=_ATTEMPT):
                        pass
                except PeerUnavailableError as error:
                    last = str(error)
                except ChannelError:
                    if witness.verdict is None:
                        raise
                if witness.verdict is not None:
                    return witness.verdict
                await asyncio.sleep(_PAUSE)
    except TimeoutError:
        said = f"{last}; its console ends with:\n{_tail(machine)}"
        raise NodeImageError(
            f"the machine did not show evidence within {seconds:.0f} s: {said}",
            hint="a slow machine? --timeout SECONDS",
        ) from None


def _check_alive(machine: Machine) -> None:
    status = machine.status()
    if status.state is not MachineState.RUNNING:
        raise MachineFailedError(
            f"the machine is {status.state.value} {status.reason}; its console ends with:\n{_tail(machine)}",
            hint="an image whose root is damaged reboots before it starts anything",
        )


def _last_line(machine: Machine) -> str:
    """Give the last phase that the agent showed on the console."""
    lines = [line.split("phase", 1)[1].strip() for line in machine.console_log().splitlines() if " phase " in line]
    return lines[-1] if lines else "firmware and kernel"


def _tail(machine: Machine) -> str:
    return "\n".join(machine.console_log().splitlines()[-_CONSOLE_LINES:])


def _spec(folder: ImageFolder) -> MachineSpec:
    metadata = {
        "version": 1,
        "uid": _NAME,
        "name": _NAME,
        "role": "control-plane",
        "node_group": "measured",
        "init_secret_hash": _NOT_A_HASH,
        "peers": [],
    }
    return MachineSpec(
        image=folder.require(ImageFile.DISK),
        metadata=metadata,
        forwards=(Forward("init", _INIT_PORT),),
        state_disk=_STATE_DISK,
        isolated=True,
    )


def _compare(folder: ImageFolder, verdict: Verdict, seconds: float) -> Measurement:
    quoted = verdict.evidence.tpm
    if quoted is None:
        raise NodeImageError("the machine's evidence has nothing of a TPM")
    predicted = predict_file(folder.require(ImageFile.UKI)).registers
    log = parse_event_log(quoted.event_log)
    explained = replay(log, HashAlgorithm.SHA256)
    return Measurement(
        registers=tuple(
            RegisterReading(index, value, quoted.pcrs[index]) for index, value in sorted(predicted.items())
        ),
        unexplained=tuple(
            index for index in LOGGED if explained.get(index, bytes(HashAlgorithm.SHA256.size)) != quoted.pcrs[index]
        ),
        events=len(log.events),
        seconds=seconds,
        verdict=verdict,
    )
