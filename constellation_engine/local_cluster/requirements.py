# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What this machine needs for a local cluster, found out before anything is made.

`of_cluster` takes a moment and is asked before every `mini up`; `of_machine` also runs a guest and reads the image's
hashes, for people who ask. Each finding says what is there, and what to do where that is not enough.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from attestation.errors import AttestationError
from constellation_core.errors import CoreError
from constellation_core.rules import CPUS, MEMORY, STATE_DISK
from constellation_engine.errors import EngineError, MachineError, RequirementError
from constellation_engine.local_cluster.workspace import STATE_FILE, ClusterSpec
from constellation_engine.machines import MachineState, machines
from constellation_engine.machines.acceleration import Accelerator, probe_kvm
from constellation_engine.machines.disks import MIB
from constellation_engine.machines.firmware import find_ovmf
from constellation_engine.machines.host import available_memory, check_ports
from constellation_engine.machines.programs import QEMU, find_program
from constellation_engine.node_image.image_folder import ImageFile, ImageFolder
from constellation_engine.node_image.local_images import default_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from constellation_core.image_manifest import ImageManifest

PROGRAMS: Final = (QEMU, "qemu-img", "swtpm", "swtpm_setup")
USUAL_IMAGE: Final = "qemu-vtpm-release"

_CONTROL_PLANE_IDLES: Final = 1.0  # processors that an emulated machine keeps busy, see docs/performance.md
_WORKER_IDLES: Final = 0.4

_CLOCK_SKEW: Final = timedelta(days=1)  # of the clock that an image was made by


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: what it is.
        good: whether it is as it should be.
        found: what was found, for people.
        fix: what to do; empty where there is nothing to do.
        needed: whether a cluster needs it; else it is only better with it.
    """

    name: str
    good: bool
    found: str
    fix: str = ""
    needed: bool = True

    def to_mapping(self) -> dict[str, Any]:
        """Give plain data."""
        return {
            "name": self.name,
            "good": self.good,
            "needed": self.needed,
            "found": self.found,
            "fix": self.fix or None,
        }


def usual_image() -> Path:
    """Give the folder of the image that machines boot where none is named."""
    return default_folder() / USUAL_IMAGE


def require(findings: Iterable[Finding]) -> None:
    """See that nothing needed is missing.

    Raises:
        RequirementError: something is; names all of it.
    """
    missing = [finding for finding in findings if finding.needed and not finding.good]
    if missing:
        raise RequirementError(missing)


def of_cluster(spec: ClusterSpec, folder: Path, report: Callable[[str], None] = lambda _: None) -> tuple[Finding, ...]:
    """Say whether a cluster can be brought up, or further up. Nothing is made, and it takes a moment.

    Args:
        spec: what is asked for.
        folder: its workspace, there or not.
        report: told what takes longer, once after each boot of the host.
    """
    return (
        *map(_program, PROGRAMS),
        _firmware(),
        *_sizes(spec),
        _processors(spec, report),
        _memory(spec, folder, report),
        _disk(spec, folder),
        *_ports(folder),
        _clock(spec.image),
    )


def of_machine(spec: ClusterSpec, folder: Path, report: Callable[[str], None]) -> tuple[Finding, ...]:
    """Say everything that is to be known before a first `mini up`.

    Args:
        spec: what would be asked for.
        folder: its workspace, there or not.
        report: told what takes a moment.
    """
    return (_acceleration(report), *of_cluster(spec, folder, report), _folder(folder), *_image(spec.image))


def _program(name: str) -> Finding:
    try:
        path = find_program(name)
    except MachineError as error:
        return Finding(name=name, good=False, found="not installed", fix=error.hint)
    return Finding(name=name, good=True, found=str(path))


def _firmware() -> Finding:
    try:
        code = find_ovmf().code
    except MachineError as error:
        return Finding(name="firmware OVMF", good=False, found="not installed", fix=error.hint)
    return Finding(name="firmware OVMF", good=True, found=str(code))


def _acceleration(report: Callable[[str], None]) -> Finding:
    slow = "machines are emulated, ten times slower: on a machine with KVM a cluster takes a minute"
    try:
        probe = probe_kvm(report)
    except MachineError as error:
        return Finding(name="KVM", good=False, found=str(error), fix=error.hint, needed=False)
    if probe.usable:
        return Finding(name="KVM", good=True, found="a guest runs")
    return Finding(name="KVM", good=False, found=probe.reason, fix=slow, needed=False)


def _sizes(spec: ClusterSpec) -> Iterator[Finding]:
    """See that a node fits into a machine: kubeadm would say so after minutes."""
    for name, unit, got, least in (
        ("processors of a machine", "", spec.cpus, CPUS[0]),
        ("memory of a machine", " MiB", spec.memory, MEMORY[0]),
        ("state disk of a machine", " MiB", spec.state_disk, STATE_DISK[0]),
    ):
        fix = f"give each machine at least {least}{unit}"
        yield Finding(name=name, good=got >= least, found=f"{got}{unit}", fix="" if got >= least else fix)


def _processors(spec: ClusterSpec, report: Callable[[str], None]) -> Finding:
    """See that emulated machines which only idle leave something: else etcd answers too late, and nobody can join."""
    there, emulated = len(os.sched_getaffinity(0)), _accelerator(report) is Accelerator.TCG
    idling = spec.control_planes * _CONTROL_PLANE_IDLES + spec.workers * _WORKER_IDLES
    busy = idling if emulated else 0.0
    found = f"{there}, of which emulated machines keep {busy:g} busy" if busy else f"{there}"
    fix = "" if busy < there else "ask for fewer machines (--control-planes 1), or use a host with KVM"
    return Finding(name="processors", good=busy < there, found=found, fix=fix, needed=False)


def _accelerator(report: Callable[[str], None]) -> Accelerator:
    try:
        return probe_kvm(report).accelerator
    except MachineError:
        return Accelerator.KVM  # another finding is about what is not installed


def _memory(spec: ClusterSpec, folder: Path, report: Callable[[str], None]) -> Finding:
    """Compare what machines take that do not run yet with what is left."""
    running = sum(machine.status().state is not MachineState.STOPPED for machine in machines(folder / "machines"))
    number = max(spec.control_planes + spec.workers - running, 0)
    wanted, there = number * (spec.memory + _accelerator(report).overhead), available_memory()
    found = f"{there} MiB available, {number} machines take {wanted}"
    fix = "" if there >= wanted else "ask for fewer machines (--workers) or smaller ones (--memory), or end programs"
    return Finding(name="memory", good=there >= wanted, found=found, fix=fix)


def _disk(spec: ClusterSpec, folder: Path) -> Finding:
    """See that a state disk may grow to its size; another one that grows as well is its owner's risk."""
    place = _nearest(folder)
    free = shutil.disk_usage(place).free // MIB
    good = free >= spec.state_disk
    fix = "" if good else "make room, or name a folder on another disk: --workspace"
    return Finding(
        name="disk", good=good, found=f"{free} MiB free below {place}, a state disk has {spec.state_disk}", fix=fix
    )


def _ports(folder: Path) -> Iterator[Finding]:
    """See that nobody took the ports of machines that are switched off; new ones choose free ports."""
    for machine in machines(folder / "machines"):
        if machine.status().state is not MachineState.STOPPED:
            continue
        name = f"ports of {machine.name}"
        try:
            forwards = machine.spec.forwards
            check_ports(forwards)
        except MachineError as error:
            yield Finding(name=name, good=False, found=str(error), fix=error.hint)
        else:
            numbers = ", ".join(str(forward.host_port) for forward in forwards)
            yield Finding(name=name, good=True, found=f"{numbers} are free")


def _clock(image: Path) -> Finding:
    """See that the clock is not before the image: certificates would not hold yet."""
    now = datetime.now(UTC)
    try:
        created = ImageFolder.open(image).read_build().created
    except (EngineError, AttestationError):
        created = now  # another finding is about the image
    good = now > created - _CLOCK_SKEW
    found = f"{now:%Y-%m-%d %H:%M} UTC" if good else f"{now:%Y-%m-%d} UTC, the image is from {created:%Y-%m-%d}"
    return Finding(name="clock", good=good, found=found, fix="" if good else "set the clock: timedatectl set-ntp true")


def _folder(folder: Path) -> Finding:
    """See that the workspace can be written, and that nobody else reads it."""
    there, place = folder.exists(), _nearest(folder)
    if not os.access(place, os.W_OK | os.X_OK):
        fix = "name a folder of yours: --workspace, or $CONSTELLATION_WORKSPACE"
        return Finding(name="workspace", good=False, found=f"{place} cannot be written", fix=fix)
    if there and folder.stat().st_mode & 0o077:
        return Finding(name="workspace", good=False, found=f"others may use {folder}", fix=f"chmod 700 {folder}")
    state = "holds a cluster" if (folder / STATE_FILE).exists() else "is free" if there else "will be made"
    return Finding(name="workspace", good=True, found=f"{folder} {state}")


def _image(path: Path) -> Iterator[Finding]:
    """See that the image is there, can be read, and is signed."""
    try:
        folder = ImageFolder.open(path)
        size = folder.require(ImageFile.DISK).stat().st_size // MIB
        with folder.place(ImageFile.DISK).open("rb"):
            pass
    except (EngineError, OSError) as error:
        fix = getattr(error, "hint", "") or "make the files of the image readable for you"
        yield Finding(name="node image", good=False, found=str(error), fix=fix)
        return
    yield Finding(name="node image", good=True, found=f"{path}, {size} MiB")
    try:
        found = _signed_by(folder.read_manifest())
    except (AttestationError, CoreError, EngineError) as error:
        fix = error.hint or "do not use it: build the image again, or get it again"
        yield Finding(name="its signature", good=False, found=str(error), fix=fix)
    else:
        yield Finding(name="its signature", good=True, found=found)


def _signed_by(manifest: ImageManifest) -> str:
    return f"holds: {manifest.image}, {manifest.variant}" + ("" if manifest.is_for_secrets else ", not for secrets")


def _nearest(folder: Path) -> Path:
    """Give the nearest folder that is there."""
    return next(place for place in (folder, *folder.absolute().parents) if place.exists())
