# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Everything that a machine has, made in a folder that nobody else sees yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from constellation_engine.errors import MachineExistsError, MachineSpecError
from constellation_engine.machines import processes
from constellation_engine.machines.config_drive import config_drive
from constellation_engine.machines.disks import image_stamp, make_overlay, make_state_disk
from constellation_engine.machines.firmware import find_ovmf, find_snp_ovmf
from constellation_engine.machines.host import choose_ports
from constellation_engine.machines.programs import QEMU, find_program
from constellation_engine.machines.spec import SevSnp, check_name
from constellation_engine.machines.spec_file import to_json
from constellation_engine.machines.tpm import manufacture
from constellation_engine.whole_files import whole_file

if TYPE_CHECKING:
    from constellation_engine.machines.layout import Layout
    from constellation_engine.machines.spec import MachineSpec

_FILE: Final = 0o600


def check_place(layout: Layout) -> None:
    """See that a machine can be made in a folder, or is there.

    Raises:
        MachineSpecError: no machine can have this name or folder.
        MachineExistsError: something else is there.
    """
    place = layout.folder
    check_name("machine", place.name)
    if {",", "\n"} & set(str(place)):
        raise MachineSpecError(f"{place}: swtpm can have no folder with a comma or a line break")
    if layout.spec.exists():
        return
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise MachineExistsError(f"{place}: expected no folder, or a machine", hint="choose another name")
    if processes.running(layout.qemu) and not place.exists():
        message = f"{place}: its folder was removed while it ran, and it still runs"
        raise MachineExistsError(message, hint="destroy the machine")


def change_image(layout: Layout, spec: MachineSpec) -> None:
    """Let a machine boot another image. What it wrote to the disk of the old one is lost; all else stays.

    The description comes last: whoever is interrupted has a machine that does not start, and changes its image again.

    Args:
        layout: of the machine, which is switched off.
        spec: its description, with the other image.

    Raises:
        MachineError: there is no such image.
    """
    with whole_file(layout.disk, mode=_FILE) as draft:
        make_overlay(spec.image, draft)
    with whole_file(layout.image_stamp, mode=_FILE) as draft:
        draft.write_text(image_stamp(spec.image), encoding="ascii")
    with whole_file(layout.spec, mode=_FILE) as draft:
        draft.write_text(to_json(spec), encoding="utf-8")


def fill(layout: Layout, name: str, spec: MachineSpec) -> None:
    """Make everything that a machine has.

    Args:
        layout: an empty folder.
        name: of the machine.
        spec: its description.

    Raises:
        MachineError: it cannot be made.
    """
    find_program(QEMU)
    settled = spec.settled(choose_ports(spec.forwards))
    layout.config_drive.write_bytes(config_drive(name, settled))
    make_overlay(settled.image, layout.disk)
    layout.image_stamp.write_text(image_stamp(settled.image), encoding="ascii")
    make_state_disk(layout.state_disk, settled.state_disk)
    if isinstance(settled.platform, SevSnp):
        find_snp_ovmf().copy_to(layout.folder)
    else:
        find_ovmf().copy_to(layout.folder)
        manufacture(layout)
    layout.spec.write_text(to_json(settled), encoding="utf-8")
