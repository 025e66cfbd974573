# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation nodes` against a real API server: what is shown, who is asked, what is decided and deleted."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml
from lightkube.models.coordination_v1 import LeaseSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.coordination_v1 import Lease
from lightkube.types import PatchType

from constellation_core.cluster_objects import NODE_LABEL, JoinRequestObject, NodeIdentity, NodeIdentityObject
from constellation_core.names import NAMESPACE
from constellation_engine.testing.kinds import serve_our_kinds
from constellation_engine.testing.known_nodes import some_identity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lightkube import Client
    from typer.testing import Result

    from constellation_engine.testing.control_plane import ControlPlane

IDENTITY: Final = "ab" * 32
ANOTHER: Final = "cd" * 32
DISK: Final = "123e4567-e89b-12d3-a456-426614174000"
PATIENCE: Final = 20.0  # seconds


@pytest.fixture(scope="module")
def kinds(control_plane: ControlPlane) -> None:
    """Our kinds of objects are served."""
    serve_our_kinds(control_plane.client())


@pytest.fixture
def client(kinds: None, clean_cluster: ControlPlane) -> Client:  # noqa: ARG001 - it has to be there
    """An administrator of a clean cluster."""
    return clean_cluster.client()


@pytest.fixture
def nodes(
    client: Client,  # noqa: ARG001 - the cluster has to be there
    clean_cluster: ControlPlane,
    constellation: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Result]:
    """Runs `constellation nodes` as an administrator."""
    monkeypatch.setenv("KUBECONFIG", str(clean_cluster.kubeconfig()))
    return lambda *words: constellation("nodes", *words)


@pytest.fixture
def worker(client: Client) -> NodeIdentity:
    """A node that got two tickets."""
    identity = some_identity(identity=IDENTITY, disk=DISK, addresses=("192.0.2.7",))
    client.create(identity.to_object(annotations={}))
    status = {"status": {"tickets": 2, "lastTicket": "2026-11-21T13:00:00+01:00"}}
    client.patch(NodeIdentityObject.Status, "worker-1", status, patch_type=PatchType.MERGE)
    return identity


def ask(client: Client, name: str, *, identity: str = IDENTITY, phase: str = "Pending") -> None:
    """Ask to join, as the join service does for a machine."""
    who = {"role": "control-plane", "variant": "qemu-vtpm", "identity": identity, "disk": DISK}
    client.create(
        JoinRequestObject(
            apiVersion="constellation.dev/v1", kind="JoinRequest", metadata=ObjectMeta(name=name), spec=who
        )
    )
    status = {"status": {"phase": phase, "requestedAt": "2026-11-21T12:00:00Z"}}
    client.patch(JoinRequestObject.Status, name, status, patch_type=PatchType.MERGE)


def decision(client: Client, name: str) -> str:
    found: Any = client.get(JoinRequestObject, name)
    return str(found["spec"]["decision"])


def claim(client: Client, name: str, node: str) -> None:
    metadata = ObjectMeta(name=name, namespace=NAMESPACE, labels={NODE_LABEL: node})
    client.create(Lease(metadata=metadata, spec=LeaseSpec(holderIdentity=node)))


class Terminal:
    """A person at a terminal, in front of the program."""

    def __init__(self, program: subprocess.Popen[bytes], descriptor: int) -> None:
        self.program = program
        self.descriptor = descriptor
        self.seen = ""

    def wait_for(self, words: str) -> None:
        """Wait until words appear."""
        while words not in self.seen:
            assert select.select([self.descriptor], [], [], PATIENCE)[0], f"no {words!r} after: {self.seen}"
            self.seen += os.read(self.descriptor, 4096).decode()

    def answer(self, words: str) -> int:
        """Type an answer; give the exit status."""
        os.write(self.descriptor, f"{words}\n".encode())
        return self.program.wait(PATIENCE)


@pytest.fixture
def terminal(nodes: Callable[..., Result]) -> Iterator[Callable[..., Terminal]]:  # noqa: ARG001 - as for it
    """Starts `constellation nodes` at a terminal, which is stdin and stderr, and waits for its question."""
    ours, theirs = os.openpty()
    programs: list[subprocess.Popen[bytes]] = []

    def start(*words: str) -> Terminal:
        command = [sys.executable, "-m", "constellation_cli", "nodes", *words]
        plain = {**os.environ, "NO_COLOR": "1"}
        program = subprocess.Popen(command, stdin=theirs, stdout=subprocess.DEVNULL, stderr=theirs, env=plain)
        programs.append(program)
        person = Terminal(program, ours)
        person.wait_for("[yes/no]")
        return person

    try:
        yield start
    finally:
        for program in programs:
            program.kill()
            program.wait()
        os.close(ours)
        os.close(theirs)


@pytest.mark.usefixtures("worker")
def test_list_shows_who_is_who(nodes: Callable[..., Result]) -> None:
    result = nodes("list")
    assert result.exit_code == 0
    heading, row = result.stdout.splitlines()
    assert heading.split() == ["node", "role", "variant", "identity", "disk", "mesh", "tickets", "last", "ticket"]
    assert row.split() == [
        "worker-1",
        "worker",
        "qemu-vtpm",
        IDENTITY[:16],
        DISK,
        "10.213.1.7",
        "2",
        "2026-11-21T12:00:00Z",
    ]


@pytest.mark.usefixtures("worker")
def test_list_is_a_record(nodes: Callable[..., Result]) -> None:
    record = json.loads(nodes("list", "-o", "json").stdout)
    assert record["version"] == 1
    (node,) = record["nodes"]
    assert (node["name"], node["identity"], node["addresses"]) == ("worker-1", IDENTITY, ["192.0.2.7"])
    assert yaml.safe_load(nodes("list", "-o", "yaml").stdout) == record


def test_an_empty_cluster_has_no_nodes(nodes: Callable[..., Result]) -> None:
    assert json.loads(nodes("list", "-o", "json").stdout) == {"version": 1, "nodes": []}
    assert nodes("pending").stdout.split()[0] == "node"


def test_pending_shows_who_waits(nodes: Callable[..., Result], client: Client) -> None:
    ask(client, "cp-1")
    (request,) = json.loads(nodes("pending", "-o", "json").stdout)["requests"]
    assert request == {
        "name": "cp-1",
        "role": "control-plane",
        "variant": "qemu-vtpm",
        "identity": IDENTITY,
        "disk": DISK,
        "decision": "",
        "phase": "Pending",
        "requested_at": "2026-11-21T12:00:00Z",
    }
    assert IDENTITY in nodes("pending").stdout


def test_pending_shows_the_others_to_who_asks(nodes: Callable[..., Result], client: Client) -> None:
    ask(client, "cp-1")
    assert nodes("deny", "cp-1", "--yes").exit_code == 0
    assert "cp-1" not in nodes("pending").stdout
    assert "Denied" in nodes("pending", "--all").stdout


@pytest.mark.parametrize("digits", [IDENTITY, IDENTITY[:16], IDENTITY[:20].upper()])
def test_an_approval_names_the_machine(nodes: Callable[..., Result], client: Client, digits: str) -> None:
    ask(client, "cp-1")
    result = nodes("approve", "cp-1", "--identity", digits, "-o", "json")
    assert result.exit_code == 0
    record = json.loads(result.stdout)
    assert (record["version"], record["request"]["decision"]) == (1, "Approved")
    assert decision(client, "cp-1") == "Approved"


def test_who_asks_is_shown_before_the_decision(nodes: Callable[..., Result], client: Client) -> None:
    ask(client, "cp-1")
    said = nodes("approve", "cp-1", "--yes").stderr
    assert said.startswith("request: cp-1 asks to join as control-plane\n")
    for fact in ("qemu-vtpm", IDENTITY, DISK):
        assert fact in said


@pytest.mark.parametrize("command", ["approve", "deny", "forget"])
def test_without_consent_nothing_happens(nodes: Callable[..., Result], client: Client, command: str) -> None:
    ask(client, "cp-1")
    result = nodes(command, "cp-1")
    assert (result.exit_code, result.stdout) == (64, "")
    assert "error: nobody is at a terminal who could be asked\n" in result.stderr
    assert result.stderr.endswith(f"then add --identity {IDENTITY}\n")
    assert decision(client, "cp-1") == ""


@pytest.mark.parametrize("command", ["approve", "deny", "forget"])
def test_another_machine_than_the_one_that_is_meant(nodes: Callable[..., Result], client: Client, command: str) -> None:
    ask(client, "cp-1", identity=ANOTHER)
    result = nodes(command, "cp-1", "--yes", "--identity", IDENTITY)
    assert result.exit_code == 1
    assert f"error: expected the machine {IDENTITY}, got {ANOTHER}\n" in result.stderr
    assert decision(client, "cp-1") == ""


@pytest.mark.parametrize("command", ["approve", "deny", "forget"])
def test_a_node_that_is_not_there(nodes: Callable[..., Result], command: str) -> None:
    result = nodes(command, "nobody", "--yes")
    assert result.exit_code == 1
    assert "nobody" in result.stderr
    assert "hint: " in result.stderr


def test_who_was_let_in_is_forgotten_and_not_denied(nodes: Callable[..., Result], client: Client) -> None:
    ask(client, "cp-1", phase="Admitted")
    result = nodes("deny", "cp-1", "--yes")
    assert result.exit_code == 1
    assert result.stderr.endswith("hint: constellation nodes forget cp-1\n")


def test_a_person_says_yes(terminal: Callable[..., Terminal], client: Client) -> None:
    ask(client, "cp-1")
    person = terminal("approve", "cp-1")
    assert IDENTITY in person.seen
    assert person.answer("yes") == 0
    assert decision(client, "cp-1") == "Approved"


def test_a_person_says_something_else(terminal: Callable[..., Terminal], client: Client) -> None:
    ask(client, "cp-1")
    assert terminal("deny", "cp-1").answer("") == 1
    assert decision(client, "cp-1") == ""


def test_another_machine_comes_while_a_person_looks(terminal: Callable[..., Terminal], client: Client) -> None:
    ask(client, "cp-1")
    person = terminal("approve", "cp-1")
    client.delete(JoinRequestObject, "cp-1")
    ask(client, "cp-1", identity=ANOTHER)
    assert person.answer("yes") == 1
    person.wait_for("hint: read it again")
    assert decision(client, "cp-1") == ""


@pytest.mark.usefixtures("worker")
def test_a_node_comes_back_while_a_person_looks(terminal: Callable[..., Terminal], client: Client) -> None:
    person = terminal("forget", "worker-1")
    status = {"status": {"tickets": 3, "lastTicket": "2026-11-21T14:00:00Z"}}
    client.patch(NodeIdentityObject.Status, "worker-1", status, patch_type=PatchType.MERGE)
    assert person.answer("yes") == 1
    person.wait_for("worker-1 changed while you looked at it")
    assert client.get(NodeIdentityObject, "worker-1")


@pytest.mark.usefixtures("worker")
def test_forget_says_what_it_deleted(nodes: Callable[..., Result], client: Client) -> None:
    claim(client, f"disk-{DISK}", "worker-1")
    ask(client, "worker-1")
    result = nodes("forget", "worker-1", "--identity", IDENTITY[:16], "-o", "json")
    assert result.exit_code == 0
    deleted = ["nodeidentity/worker-1", "joinrequest/worker-1", f"lease/disk-{DISK}"]
    assert json.loads(result.stdout) == {"version": 1, "node": "worker-1", "deleted": deleted}
    assert "2026-11-21T12:00:00Z (2 in all)" in result.stderr
    assert result.stderr.endswith("kubectl delete node worker-1\n")
    assert nodes("forget", "worker-1", "--yes").exit_code == 1


def test_what_an_interrupted_forget_left_is_forgotten(nodes: Callable[..., Result], client: Client) -> None:
    claim(client, f"disk-{DISK}", "worker-1")
    assert nodes("forget", "worker-1", "--identity", IDENTITY).exit_code == 1
    result = nodes("forget", "worker-1", "--yes")
    assert (result.exit_code, result.stdout) == (0, f"deleted\nlease/disk-{DISK}\n")
    assert "the cluster knows no worker-1" in result.stderr


@pytest.mark.parametrize("words", [("list",), ("pending",), ("approve", "cp-1", "--yes"), ("forget", "cp-1", "--yes")])
def test_somebody_without_rights(
    nodes: Callable[..., Result], clean_cluster: ControlPlane, words: tuple[str, ...]
) -> None:
    result = nodes(*words, "--kubeconfig", str(clean_cluster.kubeconfig("somebody")))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "forbidden" in result.stderr
    assert result.stderr.endswith("hint: use the administrator's kubeconfig\n")


@pytest.mark.parametrize(
    "words, said",
    [
        (("approve",), "Missing argument"),
        (("approve", ""), "expected the name of a node"),
        (("approve", "Worker-1"), "expected the name of a node"),
        (("deny", "../worker"), "expected the name of a node"),
        (("forget", "a" * 64), "expected the name of a node"),
        (("approve", "cp-1", "--identity", "abab"), "expected 16 to 64 hexadecimal digits, got 4 characters"),
        (("deny", "cp-1", "--identity", "z" * 64), "expected 16 to 64 hexadecimal digits"),
        (("forget", "cp-1", "--identity", "a" * 65), "got 65 characters"),
        (("list", "--timeout", "0"), "not in the range"),
        (("list", "--timeout", "soon"), "not a valid int"),
        (("pending", "-o", "xml"), "'xml'"),
        (("pending", "cp-1"), "unexpected extra argument"),
    ],
)
def test_wrong_words_are_explained(constellation: Callable[..., Result], words: tuple[str, ...], said: str) -> None:
    result = constellation("nodes", *words)
    assert (result.exit_code, result.stdout) == (64, "")
    assert said in result.stderr
