# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks of the services run in: a real API server, a real key service, real TPM simulators."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ConfigMap, Namespace

from attestation.testing.swtpm import running_swtpm
from constellation_core import cluster_facts, join_config
from constellation_core.cluster_facts import ClusterFacts
from constellation_core.component_list import Component, ComponentList
from constellation_core.names import KEY_SERVICE_AUDIENCE, NAMESPACE
from constellation_engine.cluster.manifests.crds import custom_resource_definitions
from constellation_engine.testing.control_plane import ControlPlane, running_control_plane

if TYPE_CHECKING:
    from collections.abc import Iterator

JOIN_CONFIG: Final = f"""
version: 1
policies:
- variant: qemu-vtpm
  measurements: {{"4": {{expected: "{bytes(32).hex()}", enforced: true}}}}
controlPlanes: {{max: 3}}
"""
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Process:
    """One process that serves.

    Attributes:
        child: the process.
        port: where it serves.
    """

    child: subprocess.Popen[bytes]
    port: int

    def processor_seconds(self) -> float:
        """Give the processor time that it took so far, with all its threads."""
        fields = Path(f"/proc/{self.child.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def memory(self) -> float:
        """Give its resident memory, MiB."""
        status = Path(f"/proc/{self.child.pid}/status").read_text(encoding="utf-8")
        line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024

    def stop(self) -> None:
        """Ask it to drain and wait."""
        self.child.terminate()
        self.child.wait(60)


@dataclass(slots=True)
class World:
    """A cluster without nodes.

    Attributes:
        folder: where everything is kept.
        control_plane: its API server.
        service_tpm: address of the TPM of the node that the join service runs on.
        node_tpm: address of the TPM of a node that joins.
        key_service: the key service.
    """

    folder: Path
    control_plane: ControlPlane
    service_tpm: str
    node_tpm: str
    key_service: Process = field(init=False)

    @property
    def token_file(self) -> Path:
        """The join service's token for the key service."""
        return self.folder / "token"

    @contextmanager
    def join_service(self, *, watched: bool = False) -> Iterator[Process]:
        """Run the join service.

        Args:
            watched: whether `blocks.json` in the folder tells of its event loop afterwards.
        """
        options = {
            "variant": "qemu-vtpm",
            "tpm": self.service_tpm,
            "kubernetes": str(self.folder / "kubernetes"),
            "key-service": "127.0.0.1",
            "key-service-port": str(self.key_service.port),
            "key-service-token": str(self.token_file),
        }
        watcher = ("benchmarks.watched_service", str(self.folder / "blocks.json"))
        program = watcher if watched else ("constellation_services.main",)
        with self._running(program, "join", options) as process:
            yield process

    @contextmanager
    def _running(self, program: tuple[str, ...], service: str, options: dict[str, str]) -> Iterator[Process]:
        port, status_port = free_port(), free_port()
        options |= {"host": "127.0.0.1", "port": str(port), "status-port": str(status_port), "log-level": "error"}
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        environment = {**os.environ, "KUBECONFIG": str(self.control_plane.kubeconfig())}
        command = [sys.executable, "-m", *program, service, *words]
        child = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)  # there is a line for each key
        process = Process(child, port)
        try:
            _wait_until_ready(f"http://127.0.0.1:{status_port}/readyz", child)
            yield process
        finally:
            process.stop()


@contextmanager
def running_world(folder: Path) -> Iterator[World]:
    """Bring up all but the join service."""
    with ExitStack() as opened:
        tpms = []
        for name in ("service", "node"):
            (folder / name).mkdir()
            tpms.append(opened.enter_context(running_swtpm(folder / name)).address)
        control_plane = opened.enter_context(running_control_plane(folder / "control-plane"))
        world = World(folder, control_plane, *tpms)
        _furnish(world)
        keys = {"key-material": str(folder / "key-material"), "pki": str(control_plane.pki)}
        world.key_service = opened.enter_context(
            world._running(("constellation_services.main",), "keys", keys)  # noqa: SLF001 - one module
        )
        yield world


def free_port() -> int:
    """Find a port that nobody uses now."""
    import socket  # noqa: PLC0415

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _furnish(world: World) -> None:
    client = world.control_plane.client()
    for definition in custom_resource_definitions():
        client.create(definition)
    client.create(Namespace(metadata=ObjectMeta(name=NAMESPACE)))
    programs = ComponentList((Component(name="kubelet", version="v1.36.4", sha256=bytes(32).hex()),))
    facts = ClusterFacts(
        name="benchmark",
        endpoint="127.0.0.1:6443",
        measurement_salt=bytes(range(32)),
        kubernetes_version="v1.36.4",
        components=programs.object_name,
    )
    for name, data in {
        cluster_facts.OBJECT_NAME: {cluster_facts.DATA_KEY: facts.to_yaml()},
        programs.object_name: programs.data,
        join_config.OBJECT_NAME: {join_config.DATA_KEY: JOIN_CONFIG},
    }.items():
        client.create(ConfigMap(metadata=ObjectMeta(name=name, namespace=NAMESPACE), data=data))
    material = world.folder / "key-material"
    material.mkdir(mode=0o700)
    for name, content in {"uri": b"cluster://", "secret": os.urandom(32), "salt": os.urandom(32)}.items():
        (material / name).write_bytes(content)
        (material / name).chmod(0o600)
    (world.folder / "kubernetes").mkdir()
    (world.folder / "kubernetes" / "pki").symlink_to(world.control_plane.pki)
    token = world.control_plane.token(
        "join-service", KEY_SERVICE_AUDIENCE, namespace=NAMESPACE, pod="join", node="control-plane-0"
    )
    world.token_file.touch(mode=0o600)
    world.token_file.write_text(token, encoding="ascii")


def _wait_until_ready(url: str, child: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and child.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.05)
    message = f"the service at {url} is not ready"
    raise RuntimeError(message)
