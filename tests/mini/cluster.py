# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A cluster under test, as its user has it: the command line, `kubectl`, and the machines."""

from __future__ import annotations

import json
import mmap
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from constellation_core.conditions import Condition, wait_for
from constellation_engine.components.cache import default_root
from constellation_engine.local_cluster import ClusterSpec, Workspace
from constellation_engine.local_cluster.objects import services_reference
from constellation_engine.machines import Machine, Segment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from constellation_engine.node_image.image_folder import ImageFolder
    from tests.mini.segment import Tap

MEMORY: Final = 3072
UP: Final = 1500.0  # seconds, for a machine that does other work
MOMENT: Final = 300.0  # seconds that anything in an emulated cluster may take

_NO_ANSWER: Final = (  # a control plane that has no processor to itself: whoever asks, asks again
    "Unable to connect",
    "TLS handshake timeout",
    "Client.Timeout exceeded",
    "connection refused",
    "was refused",
    "did not complete within requested timeout",
    "etcdserver: ",
    "storage is (re)initializing",
    "unable to handle the request",
)


@dataclass(slots=True)
class Cluster:
    """A cluster of `constellation mini`.

    Attributes:
        folder: its workspace.
        tap: who listens between its machines.
    """

    folder: Path
    tap: Tap = field(init=False)

    @classmethod
    def new(cls, folder: Path, image: ImageFolder, *, control_planes: int = 1, workers: int = 1) -> Cluster:
        """Make a workspace; nothing runs."""
        spec = ClusterSpec(image=image.path.resolve(), control_planes=control_planes, workers=workers, memory=MEMORY)
        Workspace.create(folder, spec)
        return cls(folder)

    @property
    def workspace(self) -> Workspace:
        """Its folder, as it is now."""
        return Workspace.open(self.folder)

    @property
    def image(self) -> ImageFolder:
        """What its machines boot."""
        return self.workspace.image()

    @property
    def segment(self) -> Segment:
        """The network between its machines."""
        return Segment.of(self.workspace.state.uid)

    def up(self) -> None:
        """Bring it up, or further up."""
        self.run("mini", "up", *self._size(), "--timeout", str(UP))

    @contextmanager
    def coming_up(self) -> Iterator[None]:
        """Begin to bring it up; the command is killed in the end."""
        command = [
            sys.executable,
            "-m",
            "constellation_cli",
            "mini",
            "up",
            *self._size(),
            "--workspace",
            str(self.folder),
        ]
        with (self.folder.parent / "up.log").open("ab") as log, subprocess.Popen(command, stderr=log) as process:
            yield
            process.kill()

    def _size(self) -> tuple[str, ...]:
        spec = self.workspace.state.spec
        size = ("--control-planes", str(spec.control_planes), "--workers", str(spec.workers), "--memory", str(MEMORY))
        return *size, "--image", str(self.image.path)

    def run(self, *words: str, check: bool = True, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run our command line on this cluster."""
        which = ["--workspace", str(self.folder)]
        if words[0] in ("join-config", "nodes"):  # of any cluster, not of local ones alone
            which = ["--kubeconfig", str(self.folder / "kubeconfig")]
        command = [sys.executable, "-m", "constellation_cli", *words, *which]
        done = subprocess.run(command, capture_output=True, text=True, timeout=6 * UP, check=False)
        if check:
            said = f"{' '.join(words)}\n{done.stdout}\n{done.stderr[-8000:]}"
            assert done.returncode == code, f"{said}\n{self.consoles()}"
        return done

    def machine(self, name: str) -> Machine:
        """Give one of its machines."""
        return Machine(self.workspace.machines / name)

    def on_disk(self, name: str, words: bytes) -> bool:
        """Whether these bytes lie on the raw state disk of one of its machines."""
        with (
            self.machine(name).layout.state_disk.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as disk,
        ):
            return disk.find(words) >= 0

    def consoles(self) -> str:
        """Give the ends of all consoles."""
        ends = [f"── {place.parent.name}\n{place.read_text(errors='replace')[-3000:]}" for place in self._consoles()]
        return "\n".join(ends)

    def _consoles(self) -> list[Path]:
        return sorted(self.workspace.machines.glob("*/console.log"))

    def kubectl(self, *words: str, stdin: str | None = None, check: bool = True, seconds: float = MOMENT) -> str:
        """Run `kubectl`."""
        command = [str(kubectl()), "--kubeconfig", str(self.folder / "kubeconfig"), *words]
        end = time.monotonic() + seconds
        while True:
            done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=seconds, check=False)
            if not any(one in done.stderr for one in _NO_ANSWER) or time.monotonic() > end:
                break
        assert not check or done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
        return done.stdout

    def get(self, *words: str) -> Any:  # noqa: ANN401 - whatever JSON gives
        """Read objects."""
        return json.loads(self.kubectl("get", *words, "-o", "json"))

    def apply(self, *objects: dict[str, Any]) -> None:
        """Write objects."""
        document = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("apply", "--validate=false", "-f", "-", stdin=json.dumps(document))

    def wait(self, what: str, missing: Callable[[], str | None], *, seconds: float = MOMENT) -> None:
        """Wait until nothing is missing."""
        wait_for([Condition(what, missing, (AssertionError, subprocess.TimeoutExpired))], timeout=seconds)

    def wait_ready(self, *names: str, seconds: float = MOMENT) -> None:
        """Wait until nodes are Ready, by what their kubelets said after now."""
        self.wait("nodes are Ready", lambda: ", ".join(set(names) - set(self.ready())) or None, seconds=seconds)

    def wait_running(self) -> None:
        """Wait until every pod is ready, by what the cluster says after now."""

        def missing() -> str | None:
            pods = self.get("pods", "--all-namespaces")["items"]
            waiting = [pod["metadata"]["name"] for pod in pods if not _is_ready(pod) and not _is_over(pod)]
            return ", ".join(waiting) or None

        self.wait("every pod is ready", missing, seconds=900)

    def ready(self) -> list[str]:
        """Name the nodes that are Ready."""
        return [node["metadata"]["name"] for node in self.get("nodes")["items"] if _is_ready(node)]

    def python(self, name: str, program: str, *, node: str | None = None, **more: object) -> dict[str, Any]:
        """Write a pod that runs a program in Python: the interpreter is in the node image."""
        container: dict[str, Any] = {
            "name": "python",
            "image": services_reference(self.image),
            "command": ["/usr/bin/python3.13", "-u", "-c", program],
            **more,
        }
        spec: dict[str, Any] = {"containers": [container], "terminationGracePeriodSeconds": 1}
        if node:
            spec |= {"nodeName": node, "tolerations": [{"operator": "Exists"}]}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec}


def _is_ready(record: dict[str, Any]) -> bool:
    return any(one["type"] == "Ready" and one["status"] == "True" for one in record["status"].get("conditions", ()))


def _is_over(pod: dict[str, Any]) -> bool:
    """Tell whether a pod came to its end: those of tests may."""
    return pod["metadata"]["namespace"] == "default" and "terminated" in str(pod["status"].get("containerStatuses"))


def kubectl() -> Path:
    """Give the newest `kubectl` of the component store, which `make setup` fetches."""
    (*_, newest) = sorted(default_root().glob("kubectl-*/kubectl"))
    return newest
