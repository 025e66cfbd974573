# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Where the agent finds what it needs. The image has every default; tests and nothing else give others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the agent is started with. A source of files is a folder, or a block device that is mounted to read it.

    Attributes:
        image: folder with facts of the image, in the measured root.
        esp: source of the image's signed `measurements.json`, in its folder `constellation`.
        config_drive: source of `metadata.json`.
        state_disk: device of the state disk.
        state: where the state disk is mounted.
        run: folder for what this boot leaves.
        networks: folder where systemd-networkd looks for files of this boot.
        kubelet: kubeconfig with which the kubelet speaks to the API server.
        console: terminal that shows what happens.
        tpm: address of the TPM; empty for the kernel's.
        host: address that servers listen on.
        init_port: TCP port of the init server; 0 for any that is free.
        recover_port: TCP port of the recovery server.
        join_port: TCP port of join services on other nodes.
        status_port: TCP port of the metrics on loopback.
        device_patience: seconds that devices may take to appear.
        reading_time: seconds that people have to read why the machine is about to boot again.
        linger: seconds after which the init server of a node that was initialised closes, if nobody acknowledged the
            answer: for an administrator whose connection broke, and who needs 45 s for one attempt at an emulated node.
            Longer is no use: what was answered is on the disk too, and `recover` gives it (docs/adr/0019).
        settling: seconds that a node serves before a smaller agent follows this one; longer than `linger`.
        inherited: file descriptor of what the agent before this one hands over; -1 if there was none in this boot.
    """

    image: Path = Path("/usr/lib/constellation/image")
    esp: Path = Path("/dev/disk/by-partlabel/esp")
    config_drive: Path = Path("/dev/disk/by-label/CONSTELLATION")
    state_disk: Path = Path("/dev/disk/by-id/virtio-constellation-state")
    state: Path = Path("/run/state")
    run: Path = Path("/run/constellation")
    networks: Path = Path("/run/systemd/network")
    kubelet: Path = Path("/etc/kubernetes/kubelet.conf")
    console: Path = Path("/dev/console")
    tpm: str = ""
    host: str = "0.0.0.0"  # noqa: S104 - administrators come from outside
    init_port: int = 9000
    recover_port: int = 9999
    join_port: int = 30090
    status_port: int = 9099
    device_patience: float = 60.0
    reading_time: float = 20.0
    linger: float = 300.0
    settling: float = 400.0
    inherited: int = -1

    @property
    def mesh_folder(self) -> Path:
        """On the state disk: where the mesh keeps its key."""
        return self.state / "constellation" / "mesh"

    @property
    def image_copy(self) -> Path:
        """Where services of this node find the manifest of its image."""
        return self.run / "image"
