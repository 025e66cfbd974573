# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A real containerd, with the configuration of a node, in folders and with sockets that only the test has."""

from __future__ import annotations

import shutil
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import grpc
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from constellation_engine.components import Origin, Store
from constellation_engine.testing.programs import Starter
from node_agent.container_store import seed
from node_agent.evidence_runtime import write_evidence_runtime

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.descriptor import Descriptor

    from constellation_engine.testing.programs import RunningProgram

PROGRAMS: Final = ("containerd", "containerd-shim-runc-v2", "ctr")
PATIENCE: Final = 60.0  # seconds

PLACES: Final = {
    "/run/constellation/evidence-runtime-spec.json": "evidence.json",
    "/run/cni/net.d": "cni",
    "/run/containerd": "state",
    "/var/lib/containerd": "root",
}
"""Of the configuration → here."""

# Of the container runtime interface (k8s.io/cri-api, runtime/v1), the fields that we look at.
IMAGE_FIELDS: Final = {"id": 1, "repo_tags": 2, "repo_digests": 3, "pinned": 8}


@dataclass(frozen=True)
class Image:
    """An image as the kubelet sees it."""

    id: str
    names: frozenset[str]
    pinned: bool


@dataclass(frozen=True)
class Daemon:
    """A containerd that can run.

    Attributes:
        folder: of everything that it has.
        store: what its own store is made from.
    """

    folder: Path
    store: Path

    @property
    def root(self) -> Path:
        """Folder of its own store."""
        return self.folder / "root"

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.folder / "state/containerd.sock"

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run it, as a boot of a node does."""
        seed(self.store, self.root)
        with Starter(self.folder) as starter:
            program = starter.start(self.folder / "bin/containerd", ["--config", str(self.folder / "config.toml")])
            try:
                self._wait_until_ready(program)
                yield
            finally:
                program.process.terminate()
                program.process.wait(PATIENCE)

    def ctr(self, *words: str) -> str:
        """Run its client, and give what it says."""
        command = [str(self.folder / "bin/ctr"), f"--address={self.socket}", "--namespace=k8s.io", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def images(self) -> list[Image]:
        """List images as the kubelet does."""
        answer: Any = GetMessageClass(_answer())
        with grpc.insecure_channel(f"unix://{self.socket}") as channel:
            ask = channel.unary_unary("/runtime.v1.ImageService/ListImages", bytes, answer.FromString)
            images = ask(b"", timeout=PATIENCE).images
        return [Image(image.id, frozenset((*image.repo_tags, *image.repo_digests)), image.pinned) for image in images]

    def _wait_until_ready(self, program: RunningProgram) -> None:
        deadline = time.monotonic() + PATIENCE
        while not self._has_images():
            program.check_alive()
            if time.monotonic() > deadline:
                raise program.error(f"containerd had no images after {PATIENCE:.0f} s")
            time.sleep(0.05)

    def _has_images(self) -> bool:
        """Tell whether it answers and has some. It listens before it has begun to serve."""
        try:
            return self.socket.exists() and bool(self.images())
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                return False
            raise


def _answer() -> Descriptor:
    """Describe the answer: a list of images in field 1."""
    kinds = FieldDescriptorProto
    file = FileDescriptorProto(name="cri.proto", package="cri", syntax="proto3")
    image = file.message_type.add(name="Image")
    for name, number in IMAGE_FIELDS.items():
        many = kinds.LABEL_REPEATED if name.startswith("repo") else kinds.LABEL_OPTIONAL
        kind = kinds.TYPE_BOOL if name == "pinned" else kinds.TYPE_STRING
        image.field.add(name=name, number=number, label=many, type=kind)
    file.message_type.add(name="Answer").field.add(
        name="images", number=1, label=kinds.LABEL_REPEATED, type=kinds.TYPE_MESSAGE, type_name=".cri.Image"
    )
    pool = DescriptorPool()
    pool.Add(file)
    return pool.FindMessageTypeByName("cri.Answer")


@contextmanager
def prepared_containerd(store: Path, repository: Path) -> Iterator[Daemon]:
    """Give a containerd with the configuration of the node image, except for where its files are."""
    with TemporaryDirectory(prefix="c-") as name:  # short, because names of sockets are
        daemon = Daemon(Path(name), store)
        (daemon.folder / "bin").mkdir()
        for program in Store().fetch(PROGRAMS, only=Origin.BUILD).values():
            shutil.copy(program, daemon.folder / "bin")  # it finds its shim beside itself
        extra = repository / "images/node/mkosi.extra"
        base = extra / "usr/lib/constellation/containers/runtime-spec.json"
        write_evidence_runtime(base, daemon.folder / "evidence.json", [])
        text = (extra / "etc/containerd/config.toml").read_text(encoding="utf-8")
        for there, here in PLACES.items():
            text = text.replace(there, str(daemon.folder / here))
        text += f'\n[plugins."io.containerd.shim.v1.manager"]\nsocket_dir = "{daemon.folder}/s"\n'
        (daemon.folder / "config.toml").write_text(text, encoding="utf-8")
        yield daemon
