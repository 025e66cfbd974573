# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The folder of one cluster.

    cluster.json        what was asked for, and which phases are over
    settings.json       what else the cluster was asked for, if it was (`settings`)
    master-secret.json  what every key of the cluster derives from
    init-secret         who knows it may initialise the first node
    kubeconfig          of an administrator, once there is a cluster
    log.jsonl           everything that was told while it was brought up
    machines/NAME       a machine each (`constellation_engine.machines`)

All of it is for the owner alone. Files are replaced as a whole, so that an interruption leaves the older state.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from attestation.errors import MalformedError
from attestation.strict_json import load_object
from constellation_core import rules
from constellation_core.fields import Fields
from constellation_core.keys.master_secret import MasterSecret
from constellation_core.keys.secret import Secret
from constellation_core.keys.secret_file import create_secret_file, read_secret_file
from constellation_engine.errors import WorkspaceError
from constellation_engine.node_image.image_folder import ImageFolder
from constellation_engine.whole_files import whole_file

if TYPE_CHECKING:
    from collections.abc import Iterable

VERSION: Final = 1
STATE_FILE: Final = "cluster.json"

_KNOWN: Final = (
    *("version", "name", "uid", "image", "control_planes", "workers", "cpus", "memory", "state_disk"),
    *("request_id", "measurement_salt", "cluster_id", "finished", "upgrading"),
)
_HEX_32: Final = re.compile(r"([0-9a-f]{64})?")
_MAX_SIZE: Final = 64 * 1024  # bytes
_UPGRADE: Final = "constellation mini upgrade lets its machines boot another image"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSpec:
    """What is asked for.

    Attributes:
        image: folder of the node image.
        name: of the cluster, a DNS label.
        control_planes: how many; etcd wants an odd number.
        workers: how many.
        cpus: of each machine.
        memory: of each machine, MiB.
        state_disk: of each machine, MiB.
    """

    image: Path
    name: str = "mini"
    control_planes: int = 1
    workers: int = 1
    cpus: int = 2
    memory: int = 3072
    state_disk: int = 8192

    def __post_init__(self) -> None:
        """Refuse what would fail after minutes."""
        if expected := rules.cluster_name(self.name):
            raise WorkspaceError(f"name of a cluster: expected {expected}, got {self.name!r:.80}")
        if expected := rules.control_planes(self.control_planes):
            raise WorkspaceError(
                f"control planes: expected {expected}, got {self.control_planes}",
                hint="an even number of etcd members survives no more than one fewer",
            )
        if expected := rules.workers(self.workers):
            raise WorkspaceError(f"workers: expected {expected}, got {self.workers}")


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What is known of a cluster.

    Attributes:
        spec: what was asked for.
        uid: of its machines; no other cluster has it.
        request_id: of the one request that initialises it.
        measurement_salt: 32 bytes.
        cluster_id: 32 bytes; empty before the first node is initialised.
        finished: names of phases that are over.
        upgrading: whether machines go over to the image that was asked for.
    """

    spec: ClusterSpec
    uid: str
    request_id: str
    measurement_salt: bytes
    cluster_id: bytes = b""
    finished: tuple[str, ...] = ()
    upgrading: bool = False

    def to_record(self) -> dict[str, Any]:
        """Give plain data."""
        spec = self.spec
        return {
            "version": VERSION,
            "name": spec.name,
            "uid": self.uid,
            "image": str(spec.image),
            "control_planes": spec.control_planes,
            "workers": spec.workers,
            "cpus": spec.cpus,
            "memory": spec.memory,
            "state_disk": spec.state_disk,
            "request_id": self.request_id,
            "measurement_salt": self.measurement_salt.hex(),
            "cluster_id": self.cluster_id.hex(),
            "finished": list(self.finished),
            "upgrading": self.upgrading,
        }

    @classmethod
    def from_document(cls, document: bytes) -> State:
        """Read the document.

        Raises:
            MalformedError: it is not JSON, of another version, or a field is missing, wrong or unknown.
            WorkspaceError: it asks for what cannot be.
        """
        fields = Fields(load_object(document, STATE_FILE, max_size=_MAX_SIZE, max_brackets=8), STATE_FILE, _KNOWN)
        fields.version(VERSION)
        spec = ClusterSpec(
            image=Path(fields.any_text("image")),
            name=fields.text("name", rules.CLUSTER_NAME, "a DNS label"),
            **{
                name: fields.whole_number(name, range(1 << 24), 0)
                for name in ("control_planes", "workers", "cpus", "memory", "state_disk")
            },
        )
        return cls(
            spec=spec,
            uid=fields.any_text("uid"),
            request_id=fields.any_text("request_id"),
            measurement_salt=fields.hexadecimal("measurement_salt", 32),
            cluster_id=bytes.fromhex(fields.text("cluster_id", _HEX_32, "64 hexadecimal digits, or none")),
            finished=tuple(map(str, fields.entries("finished", range(16)))),
            upgrading=fields.flag("upgrading", default=False),
        )


class Workspace:
    """The folder of one cluster.

    Args:
        folder: of it; see `create` and `open`.
        state: what is known.
    """

    def __init__(self, folder: Path, state: State) -> None:
        self.folder = folder
        self._state = state

    @classmethod
    def create(cls, folder: Path, spec: ClusterSpec) -> Self:
        """Make a folder, with new secrets; or open the one that is there, if it asks for the same.

        Raises:
            WorkspaceError: something else is there, or another cluster.
            SecretFileError: a secret cannot be written, or others could read it.
        """
        if (folder / STATE_FILE).exists():
            workspace = cls.open(folder)
            workspace.require_same(spec)
            return workspace
        if folder.exists() and any(folder.iterdir()):
            raise WorkspaceError(f"{folder} is there and holds no cluster", hint="name another folder: --workspace")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        _make_secrets(folder)
        uid = uuid.uuid4()
        state = State(spec=spec, uid=str(uid), request_id=str(uuid.uuid4()), measurement_salt=secrets.token_bytes(32))
        workspace = cls(folder, state)
        workspace._save()
        return workspace

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open a folder.

        Raises:
            WorkspaceError: there is no cluster, or its description is damaged.
        """
        try:
            return cls(folder, State.from_document((folder / STATE_FILE).read_bytes()))
        except FileNotFoundError:
            raise WorkspaceError(
                f"{folder}: expected the workspace of a cluster, there is none", hint="constellation mini up makes one"
            ) from None
        except MalformedError as error:
            raise WorkspaceError(f"{folder}: {error}", hint=error.hint) from None

    @property
    def state(self) -> State:
        """What is known."""
        return self._state

    @property
    def kubeconfig(self) -> Path:
        """Place of the administrator's kubeconfig."""
        return self.folder / "kubeconfig"

    @property
    def machines(self) -> Path:
        """Folder of the machines."""
        return self.folder / "machines"

    @property
    def log(self) -> Path:
        """Place of the log."""
        return self.folder / "log.jsonl"

    def image(self) -> ImageFolder:
        """Open the image that its machines shall boot.

        Raises:
            UnknownImageError: it is not there any more.
        """
        return ImageFolder.open(self._state.spec.image)

    def append_to_log(self, line: str) -> None:
        """Keep what was told."""
        descriptor = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "a", encoding="utf-8") as log:
            log.write(line + "\n")

    def master_secret(self) -> MasterSecret:
        """Read what every key derives from.

        Raises:
            SecretFileError: it is missing, damaged, or others can use it.
        """
        return MasterSecret.load(self.folder / "master-secret.json")

    def init_secret(self) -> Secret:
        """Read what the first node asks for.

        Raises:
            SecretFileError: it is missing, or others can use it.
        """
        return read_secret_file(self.folder / "init-secret")

    def use_master_secret(self, chosen: MasterSecret) -> None:
        """Let every key derive from a secret of the user's, instead of the one that was made with the folder.

        Raises:
            WorkspaceError: the cluster is initialised already, with another one.
            SecretFileError: the one that is there is damaged, or others can use it.
        """
        if chosen == self.master_secret():
            return
        if self._state.cluster_id:
            raise WorkspaceError(
                f"{self.folder}: the cluster was initialised with another master secret",
                hint="a cluster keeps its secret for life: give the one that it has, or make a new cluster",
            )
        draft = self.folder / "master-secret.json.new"
        draft.unlink(missing_ok=True)  # of whoever was interrupted
        chosen.create(draft)
        draft.replace(self.folder / "master-secret.json")

    def renew(self) -> None:
        """Forget the cluster, for good: new secrets, and nothing of it is over. Its machines must be gone already.

        Raises:
            SecretFileError: a secret cannot be written.
        """
        self._state = replace(
            self._state,
            request_id=str(uuid.uuid4()),
            measurement_salt=secrets.token_bytes(32),
            cluster_id=b"",
            finished=(),
        )
        self._save()
        for name in ("kubeconfig", "settings.json", "master-secret.json", "init-secret"):
            (self.folder / name).unlink(missing_ok=True)
        _make_secrets(self.folder)

    def resize(self, workers: int) -> None:
        """Ask for another number of workers. Machines follow: `bring_up` makes them, `remove_surplus` removes them.

        Raises:
            WorkspaceError: so many cannot be.
        """
        if workers != self._state.spec.workers:
            self._state = replace(self._state, spec=replace(self._state.spec, workers=workers))
            self.begin_again(("infrastructure", "join", "verify"))

    def use_image(self, image: Path) -> None:
        """Ask for machines of another image. They follow one after the other: see `upgrade`."""
        if image != self._state.spec.image:
            self._state = replace(self._state, spec=replace(self._state.spec, image=image), upgrading=True)
            self.begin_again(("services", "join", "verify"))

    def upgraded(self) -> None:
        """Remember that all machines have gone over."""
        self._state = replace(self._state, upgrading=False)
        self._save()

    def finish(self, phase: str) -> None:
        """Remember that a phase is over."""
        if phase not in self._state.finished:
            self._state = replace(self._state, finished=(*self._state.finished, phase))
            self._save()

    def begin_again(self, phases: Iterable[str]) -> None:
        """Forget that phases were over: something that they rest on changed."""
        left = tuple(name for name in self._state.finished if name not in set(phases))
        self._state = replace(self._state, finished=left)
        self._save()

    def initialised(self, cluster_id: bytes, kubeconfig: bytes) -> None:
        """Remember what the first node answered."""
        write_private(self.kubeconfig, kubeconfig)
        self._state = replace(self._state, cluster_id=cluster_id)
        self._save()

    def _save(self) -> None:
        write_private(self.folder / STATE_FILE, json.dumps(self._state.to_record(), indent=2).encode() + b"\n")

    def require_same(self, spec: ClusterSpec) -> None:
        """See that the cluster is the one that is asked for.

        Raises:
            WorkspaceError: it is another one; says how it differs.
        """
        names = [name for name in ClusterSpec.__slots__ if getattr(self._state.spec, name) != getattr(spec, name)]
        if names:
            differences = [f"{name} is {getattr(self._state.spec, name)}, not {getattr(spec, name)}" for name in names]
            raise WorkspaceError(
                f"{self.folder} is of another cluster: {'; '.join(differences)}",
                hint=_UPGRADE
                if names == ["image"]
                else "constellation mini down removes it; --workspace names another folder",
            )


def _make_secrets(folder: Path) -> None:
    MasterSecret.random().create(folder / "master-secret.json")
    create_secret_file(folder / "init-secret", Secret(secrets.token_hex(32).encode()))


def write_private(path: Path, content: bytes) -> None:
    """Write a file for its owner alone, whole or not at all; what is there is replaced."""
    with whole_file(path, mode=0o600) as draft:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)
            file.write(content)
