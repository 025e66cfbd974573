# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What has to be done to make this machine a node, and how far that is: one file, so that a power cut loses nothing.

    /etc/kubernetes/constellation/setup.json       0600, on the state disk

    {"version": 1, "kind": "init", "documents": …, "files": {…}, "links": {…}, "objects": …}       begun
    {"version": 1, "kind": "finished"}                                                             done

It is written whole before anything else, and replaced when everything is done; a rename decides, so it is one or the
other. Whatever a boot finds half done is begun anew from it:

| | is removed first | why the result is the same |
|---|---|---|
| `init` | all that kubeadm and etcd wrote | nobody was given anything of a cluster that was not finished |
| `join` | all that kubeadm wrote | to join is to be registered, which can be done again |
| `join`, and etcd has data | nothing | the cluster may need this member for its quorum: it starts at once |

kubeadm does not sync what it writes: after a power cut a file may be empty. So what it wrote is not patched up, and
what must stay was synced before (`node_agent.kubernetes.kubeadm`).
"""

from __future__ import annotations

import base64
import json
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from constellation_core.keys.secret import Secret
from node_agent.errors import PermanentError
from node_agent.kubernetes.paths import ETCD, KUBELET, KUBERNETES, SETUP

if TYPE_CHECKING:
    from collections.abc import Mapping

SETUP_VERSION: Final = 1
FILE: Final = SETUP / "setup.json"


class Kind(StrEnum):
    """What a setup makes of a machine."""

    INIT = "init"
    JOIN = "join"
    FINISHED = "finished"  # nothing more: it is a node


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """Everything that it takes to become a node.

    Attributes:
        kind: how.
        documents: what kubeadm is told.
        files: path → content, written before kubeadm runs.
        links: path → what the symbolic link there says.
        objects: what the cluster is given when its API server answers, YAML; None where another did that.
        endpoint: of the API server to join.
        ca_hash: of the public key of its authority.
    """

    kind: Kind
    documents: Secret | None = None
    files: Mapping[Path, Secret] = field(default_factory=dict, repr=False)
    links: Mapping[Path, str] = field(default_factory=dict)
    objects: Secret | None = None
    endpoint: str = ""
    ca_hash: str = ""

    def to_json(self) -> Secret:
        """Write the file."""
        record: dict[str, Any] = {"version": SETUP_VERSION, "kind": self.kind.value}
        if self.kind is not Kind.FINISHED:
            record |= {
                "documents": _text(self.documents),
                "files": {
                    str(path): base64.b64encode(content.reveal()).decode() for path, content in self.files.items()
                },
                "links": {str(path): target for path, target in self.links.items()},
                "objects": _text(self.objects),
                "endpoint": self.endpoint,
                "ca_hash": self.ca_hash,
            }
        return Secret(json.dumps(record).encode())

    @classmethod
    def from_json(cls, text: Secret) -> Setup:
        """Read the file. We wrote it, on a disk that nobody else can change.

        Raises:
            PermanentError: we did not, or a later release did.
        """
        try:
            record = json.loads(text.reveal())
            if record["version"] != SETUP_VERSION:
                raise PermanentError(f"{FILE}: expected version {SETUP_VERSION}, got {record['version']!r:.20}")
            return cls(
                kind=Kind(record["kind"]),
                documents=_secret(record.get("documents")),
                files={Path(path): Secret(base64.b64decode(text)) for path, text in record.get("files", {}).items()},
                links={Path(path): target for path, target in record.get("links", {}).items()},
                objects=_secret(record.get("objects")),
                endpoint=record.get("endpoint", ""),
                ca_hash=record.get("ca_hash", ""),
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            raise PermanentError(f"{FILE}: expected a setup, got something else") from None


FINISHED: Final = Setup(kind=Kind.FINISHED)


def load(*, root: Path = Path("/")) -> Setup | None:
    """Read how far this machine is; None where nothing was begun.

    Raises:
        PermanentError: the file is not ours.
    """
    try:
        return Setup.from_json(Secret((root / FILE.relative_to("/")).read_bytes() or b"{}"))
    except FileNotFoundError:
        return None


def save(setup: Setup, *, root: Path = Path("/")) -> None:
    """Write it down: after this returns, it is on the disk."""
    write_secret(_below(root, FILE), setup.to_json())


def is_member(setup: Setup, *, root: Path = Path("/")) -> bool:
    """Tell whether this node joined the etcd of a cluster in an attempt that did not finish."""
    return setup.kind is Kind.JOIN and _below(root, ETCD / "member").exists()


def clear(*, root: Path = Path("/")) -> None:
    """Remove what an attempt left behind, but not the setup itself. Folders stay: the disk is mounted there."""
    for folder in (KUBERNETES, KUBELET, ETCD):
        with suppress(FileNotFoundError):
            for entry in os.scandir(_below(root, folder)):
                if Path(entry.path) == _below(root, SETUP):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path)
                else:
                    Path(entry.path).unlink()


def lay_out(setup: Setup, *, root: Path = Path("/")) -> None:
    """Write files and links."""
    for path, content in setup.files.items():
        write_secret(_below(root, path), content)
    for path, target in setup.links.items():
        _below(root, path).symlink_to(target)


def write_secret(path: Path, content: Secret) -> None:
    """Write a file of mode 0600, in the place of another: whole or not at all, and durable."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content.reveal())
        file.flush()
        os.fsync(descriptor)
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _below(root: Path, path: Path) -> Path:
    return root / path.relative_to("/")


def _text(secret: Secret | None) -> str | None:
    return secret.reveal().decode() if secret is not None else None


def _secret(text: str | None) -> Secret | None:
    return Secret(text.encode()) if text is not None else None
