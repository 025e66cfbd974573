# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""How long a whole cluster takes, beside plain kubeadm in the same machines.

    python -m benchmarks.bring_up RELEASE DEBUG

RELEASE and DEBUG are folders of node images of the same sources. One control plane and one worker are switched on, once
with the debug image, where the shell is told to run plain kubeadm (`benchmarks/plain_node.py`), and once with ours. It
takes half an hour where machines are emulated, and wants the host for itself.
"""

from __future__ import annotations

import base64
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from benchmarks.plain_node import BEGIN, BEGUN, END
from benchmarks.table import Promise, Row, as_text
from constellation_core.conditions import Condition, wait_for
from constellation_core.errors import ConditionTimeoutError
from constellation_engine.cluster.client import api_client
from constellation_engine.local_cluster import ClusterSpec, Phase, Workspace, bring_up, tear_down
from constellation_engine.local_cluster.machines import create_machine, places
from constellation_engine.local_cluster.objects import nodes_ready
from constellation_engine.machines.iso9660 import one_file
from constellation_engine.node_image.image_folder import ImageFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from constellation_engine.local_cluster.phases import Step
    from constellation_engine.machines import Machine

LIMIT: Final = 1800.0  # seconds for each wait
RATIO: Final = 1.2
VERIFIED: Final = 420.0  # seconds
PROMPT: Final = re.compile(r"bash-[0-9.]+# ")
GUEST: Final = "plain_node.py"
_PLACE: Final = "/run/plain"
_DRIVE: Final = "/dev/disk/by-id/virtio-constellation-config"
_AGAIN: Final = 60.0  # seconds


def plain(image: Path, folder: Path) -> float:
    """Give the seconds from power-on until both nodes of plain kubeadm are Ready."""
    spec = ClusterSpec(image=image, control_planes=1, workers=1)
    workspace = Workspace.create(folder, spec)
    version = ImageFolder(image).read_build().kubernetes
    try:
        wanted = places(workspace)
        machines = [create_machine(workspace, place) for place in wanted]
        for machine in machines:
            _put_program(machine)
        start = time.monotonic()
        for machine in machines:
            machine.start()
        arguments = [f"{place.name} {place.address} {wanted[0].address} v{version}" for place in wanted]
        with ThreadPoolExecutor() as typists:
            list(typists.map(_start_program, machines, arguments))
        print(f"{time.monotonic() - start:6.1f} s  kubeadm begins", flush=True)
        kubeconfig = folder / "plain.kubeconfig"
        kubeconfig.write_bytes(_kubeconfig(machines[0]))
        print(f"{time.monotonic() - start:6.1f} s  kubeadm init is done", flush=True)
        with api_client(kubeconfig) as client:
            wait_for([nodes_ready(client, [place.name for place in wanted])], timeout=LIMIT)
        return time.monotonic() - start
    finally:
        tear_down(workspace, report=print)


def _put_program(machine: Machine) -> None:
    """Put the program on the config drive. Without metadata there the agent leaves everything as it is."""
    program = Path(__file__).with_name(GUEST)
    machine.layout.config_drive.write_bytes(one_file("PLAIN", GUEST, program.read_bytes()))


def _start_program(machine: Machine, arguments: str) -> None:
    """Type what starts it into the shell, until it says that it runs: early in a boot what is typed may be lost."""
    run = f"PYTHONPATH=/usr/lib/constellation/python python3 {_PLACE}/{GUEST} {arguments}"
    line = f"\nmkdir -p {_PLACE}; until mount -r {_DRIVE} {_PLACE}; do sleep 1; done; {run}\n"

    def is_deaf() -> str | None:
        with machine.open_console() as console:  # what the machine has not taken when the connection ends is lost
            console.sendall(line.encode())
            try:
                _wait(machine, BEGUN, lambda: BEGUN in machine.console_log(), timeout=_AGAIN)
            except ConditionTimeoutError as error:
                return str(error)
        return None

    _wait(machine, "a shell", lambda: bool(PROMPT.search(machine.console_log())))
    wait_for([Condition(f"{machine.name}: plain kubeadm begins", is_deaf)], timeout=LIMIT)


def _kubeconfig(machine: Machine) -> bytes:
    """Read what the control plane prints in the end, and lead it through our forward."""
    _wait(machine, "kubeadm init", lambda: bool(_printed(machine)))
    text = base64.b64decode(_printed(machine)).decode()
    port = machine.spec.host_port("api-server")
    return re.sub(r"server: .*", f"server: https://127.0.0.1:{port}", text).encode()


def _printed(machine: Machine) -> str:
    found = re.search(rf"{BEGIN}\s+([A-Za-z0-9+/=\s]+?)\s+{END}", machine.console_log())
    return "".join(found[1].split()) if found else ""


def _wait(machine: Machine, what: str, is_there: Callable[[], bool], *, timeout: float = LIMIT) -> None:
    wait_for([Condition(f"{machine.name}: {what}", lambda: None if is_there() else "not yet")], timeout=timeout)


def ours(image: Path, folder: Path) -> dict[str, float]:
    """Give the seconds from power-on until both nodes are Ready, and until all is verified."""
    workspace = Workspace.create(folder, ClusterSpec(image=image, control_planes=1, workers=1))
    steps: list[Step] = []

    def note(step: Step) -> None:
        steps.append(step)
        print(f"{step.seconds:6.1f} s  {step}", flush=True)

    try:
        bring_up(workspace, report=note)
        return {"ready": next(_after_nodes(steps)), "verified": steps[-1].seconds}
    finally:
        tear_down(workspace, report=print)


def _after_nodes(steps: list[Step]) -> Iterator[float]:
    for step in steps:
        if step.phase is Phase.JOIN and step.text.startswith(("waiting for pods", "done")):
            yield step.seconds


def main(release: str, debug: str) -> None:
    """Measure both, and print the table."""
    with TemporaryDirectory(prefix="constellation-bring-up-") as folder:
        peer = plain(Path(debug).resolve(), Path(folder, "plain"))
        mine = ours(Path(release).resolve(), Path(folder, "ours"))
    ready, verified = mine["ready"], mine["verified"]
    rows = (
        Row(
            what="power-on of one control plane and one worker until both are Ready",
            ours=f"{ready:.0f} s",
            peer=f"{peer:.0f} s (plain kubeadm)",
            ratio=f"{ready / peer:.2f} ×",
            promises=(Promise(f"≤ {RATIO} × the peer", ready <= RATIO * peer),),
        ),
        Row(
            what="until every pod runs and every node is verified",
            ours=f"{verified:.0f} s",
            promises=(Promise(f"≤ {VERIFIED:.0f} s", verified <= VERIFIED),),
        ),
    )
    print(as_text(rows))


if __name__ == "__main__":
    main(*sys.argv[1:])
