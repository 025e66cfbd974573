# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What crun is told of containers that collect evidence: they get the devices that sign it, besides what all have.

`constellation_engine.cluster.manifests.evidence` says what pods expect of the runtime `constellation-evidence`: each
device that this machine has, mode 0660, for group 65532, readable and writable. The kernel numbers devices anew at
every boot, so the specification is written then, before containerd starts; containerd's configuration names the file.

It begins with what containerd gives to every container (`ctr oci spec`), less the limits of resources, which containerd
takes away there, too.

Format: `config.json` of the OCI runtime specification 1.3, sections "Devices" and "Device allow list" of Linux.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from node_agent.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Iterable

BASE: Final = Path("/usr/lib/constellation/containers/runtime-spec.json")
TARGET: Final = Path("/run/constellation/evidence-runtime-spec.json")
DEVICES: Final = (Path("/dev/tpmrm0"), Path("/dev/sev-guest"))

_GROUP: Final = 65532
_MODE: Final = 0o660


def write_evidence_runtime(
    base: Path = BASE, target: Path = TARGET, devices: Iterable[Path] = DEVICES
) -> tuple[Path, ...]:
    """Write the specification that containers which collect evidence begin with.

    Args:
        base: containerd's own, which those of all containers begin with.
        target: file to write or replace.
        devices: what they get, as far as this machine has it.

    Returns:
        The devices that this machine has; none of them is no error: evidence then comes from elsewhere (TDX).

    Raises:
        PermanentError: the base is not there, or the target cannot be written.
    """
    present = tuple(device for device in devices if device.is_char_device())
    try:
        specification = json.loads(base.read_bytes())
        linux = specification["linux"]
        linux["devices"] = [*linux.get("devices", ()), *map(_device, present)]
        linux["resources"]["devices"] = [*linux["resources"]["devices"], *map(_permission, present)]
        draft = target.with_name(f".{target.name}.new")
        draft.write_text(json.dumps(specification), encoding="utf-8")
        draft.replace(target)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise PermanentError(f"the runtime for evidence cannot be set up from {base}: {error!r}") from error
    return present


def _numbers(device: Path) -> dict[str, Any]:
    status = device.stat()
    if not stat.S_ISCHR(status.st_mode):
        raise ValueError(f"{device} is no character device any more")
    return {"type": "c", "major": os.major(status.st_rdev), "minor": os.minor(status.st_rdev)}


def _device(device: Path) -> dict[str, Any]:
    return {"path": str(device), **_numbers(device), "fileMode": _MODE, "uid": 0, "gid": _GROUP}


def _permission(device: Path) -> dict[str, Any]:
    return {"allow": True, **_numbers(device), "access": "rw"}
