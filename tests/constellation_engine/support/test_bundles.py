# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A bundle is made whatever fails, for its owner alone, and secrets of no kind are in it."""

from __future__ import annotations

import json
import tarfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import pytest
import yaml

from constellation_engine.errors import ClusterError, SupportError
from constellation_engine.local_cluster.workspace import ClusterSpec, Workspace
from constellation_engine.machines import Forward, MachineSpec
from constellation_engine.machines.spec_file import to_json
from constellation_engine.node_image.image_folder import ImageFile
from constellation_engine.support import Bundle, Part, Redactor, bundle, from_workspace, known_secrets, workspace_parts
from constellation_engine.testing.node_images import FakeImage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN: Final = "a-token-of-an-administrator"
HASH: Final = "$2b$10$" + "h" * 53


def content(path: Path) -> dict[str, str]:
    """Read a bundle: name without the folder → text."""
    found = {}
    with tarfile.open(path) as archive:
        for name in archive.getnames():
            file = archive.extractfile(name)
            assert file is not None
            found[name.partition("/")[2]] = file.read().decode()
    return found


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A workspace in which every secret was written where it does not belong."""
    image = FakeImage().write(tmp_path / "image")
    workspace = Workspace.create(tmp_path / "mini", ClusterSpec(image=image.path))
    workspace.initialised(bytes(32), yaml.safe_dump({"users": [{"name": "a", "user": {"token": TOKEN}}]}).encode())
    place = workspace.machines / "worker-0"
    place.mkdir(parents=True)
    spec = MachineSpec(
        image=image.place(ImageFile.DISK), metadata={"init_secret_hash": HASH}, forwards=(Forward("a", 1, 1),)
    )
    (place / "spec.json").write_text(to_json(spec.settled({})))
    for name in ("state.raw", "disk.qcow2", "config.iso", "variables.fd", "tpm"):
        (place / name).write_text("never read")
    plant(workspace, place / "console.log")
    plant(workspace, workspace.log)
    return workspace


def secrets(workspace: Workspace) -> list[str]:
    master = workspace.master_secret().secret.reveal().hex()
    return [master, workspace.init_secret().reveal().decode(), TOKEN, HASH, "0123456789abcdef"]


def plant(workspace: Workspace, file: Path) -> None:
    """Write every kind of secret into a log, without a word that tells."""
    file.write_text("".join(f"said {secret}\n" for secret in secrets(workspace)[:-1]) + "abcdef.0123456789abcdef\n")


def collect(workspace: Workspace, path: Path) -> list[str]:
    with Bundle.create(path, Redactor(known_secrets(workspace))) as made:
        for part in workspace_parts(workspace):
            made.add(part)
    return made.problems


def test_no_secret_of_a_workspace_is_in_it(workspace: Workspace, tmp_path: Path) -> None:
    collect(workspace, tmp_path / "support.tar.gz")
    found = content(tmp_path / "support.tar.gz")
    everything = "".join(found.values())
    assert [secret for secret in secrets(workspace) if secret in everything] == []
    assert found["machines/worker-0/console.log"].count("<removed>") == 5
    assert "never read" not in everything


def test_it_has_what_helps(workspace: Workspace, tmp_path: Path) -> None:
    collect(workspace, tmp_path / "support.tar.gz")
    found = content(tmp_path / "support.tar.gz")
    assert sorted(found) == [
        "machines/worker-0/console.log",
        "machines/worker-0/spec.json",
        "machines/worker-0/status.json",
        "problems.txt",
        "workspace/cluster.json",
        "workspace/host.json",
        "workspace/log.jsonl",
    ]
    assert json.loads(found["workspace/cluster.json"])["workers"] == 1
    assert "measurement_salt" not in found["workspace/cluster.json"]
    assert json.loads(found["machines/worker-0/status.json"])["state"] == "stopped"


def test_what_cannot_be_collected_is_said_in_it(workspace: Workspace, tmp_path: Path) -> None:
    problems = collect(workspace, tmp_path / "support.tar.gz")
    assert [problem.partition(":")[0] for problem in problems] == [
        "machines/worker-0/qemu.log",
        "machines/worker-0/tpm.log",
    ]
    assert content(tmp_path / "support.tar.gz")["problems.txt"].splitlines() == problems


def test_it_is_for_its_owner_alone(workspace: Workspace, tmp_path: Path) -> None:
    collect(workspace, tmp_path / "support.tar.gz")
    assert (tmp_path / "support.tar.gz").stat().st_mode & 0o777 == 0o600
    with tarfile.open(tmp_path / "support.tar.gz") as archive:
        assert {member.mode for member in archive.getmembers()} == {0o600}


def test_a_file_that_is_there_is_left(tmp_path: Path) -> None:
    (tmp_path / "support.tar.gz").write_text("mine")
    with pytest.raises(SupportError, match="File exists"), Bundle.create(tmp_path / "support.tar.gz", Redactor()):
        pytest.fail("it was made")
    assert (tmp_path / "support.tar.gz").read_text() == "mine"


def test_whoever_is_interrupted_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Bundle.create(tmp_path / "support.tar.gz", Redactor()):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_the_end_of_what_is_long_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "LONGEST_PART", 10)
    with Bundle.create(tmp_path / "support.tar.gz", Redactor()) as made:
        made.add(Part("a", lambda: "beginning and end"))
    assert content(tmp_path / "support.tar.gz")["a"] == "ng and end"


def test_a_line_that_is_cut_is_left_out(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a secret is found by nobody."""
    monkeypatch.setattr(from_workspace, "LONGEST_PART", 50)
    workspace.log.write_text(f"{workspace.init_secret().reveal().decode()}\nthe last line\n")
    collect(workspace, tmp_path / "support.tar.gz")
    assert content(tmp_path / "support.tar.gz")["workspace/log.jsonl"] == "the last line\n"


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/../b", "a\nb", "/etc/passwd"])
def test_names_stay_in_the_bundle(tmp_path: Path, name: str) -> None:
    with Bundle.create(tmp_path / "support.tar.gz", Redactor()) as made:
        made.add(Part(name, lambda: "text"))
    with tarfile.open(tmp_path / "support.tar.gz") as archive:
        first = archive.getnames()[0]
    assert first.startswith("support/")
    assert ".." not in first.split("/")


def test_a_part_is_read_as_it_is_asked_for(tmp_path: Path) -> None:
    @contextmanager
    def refusing() -> Iterator[None]:
        raise ClusterError("gave up: Bearer abcdefgh12345678")
        yield

    with Bundle.create(tmp_path / "support.tar.gz", Redactor()) as made:
        made.add(Part("kubernetes/nodes.json", lambda: "never"), refusing)
    assert made.problems == ["kubernetes/nodes.json: gave up: Bearer <removed>"]
