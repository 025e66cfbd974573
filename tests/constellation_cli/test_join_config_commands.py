# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation join-config` against a real API server: show, check, change, go back."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ConfigMap

from attestation.policy_fields import Register
from attestation.variant import Variant
from constellation_core.image_manifest import ImageManifest, sign
from constellation_core.join_config import ControlPlanes, JoinConfig
from constellation_core.names import NAMESPACE
from constellation_core.strict_yaml import dump_yaml

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lightkube import Client
    from typer.testing import Result

    from constellation_engine.testing.control_plane import ControlPlane


def config(max_control_planes: int) -> str:
    """A file that differs from others by one number."""
    register = {"expected": "04" * 32, "enforced": True}
    policy = {"variant": "qemu-vtpm", "measurements": {4: register}}
    return dump_yaml({"version": 1, "policies": [policy], "controlPlanes": {"max": max_control_planes}})


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def client(clean_cluster: ControlPlane) -> Client:
    """An administrator of a clean cluster."""
    return clean_cluster.client()


@pytest.fixture
def join_config(
    clean_cluster: ControlPlane, constellation: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    """Runs `constellation join-config` as an administrator."""
    monkeypatch.setenv("KUBECONFIG", str(clean_cluster.kubeconfig()))
    return lambda *words, stdin="": constellation("join-config", *words, stdin=stdin.encode())


@pytest.fixture
def put(join_config: Callable[..., Result]) -> Callable[[int], None]:
    """Sets a file with so many control planes."""

    def run(number: int) -> None:
        assert join_config("set", "-", stdin=config(number)).exit_code == 0

    return run


def write(client: Client, text: str) -> None:
    """Write past our own commands, as `kubectl edit` does."""
    wanted = ConfigMap(metadata=ObjectMeta(name="join-config", namespace=NAMESPACE), data={"join-config.yaml": text})
    client.apply(wanted, field_manager="somebody", force=True)


def test_what_is_set_is_shown_byte_for_byte(join_config: Callable[..., Result], put: Callable[[int], None]) -> None:
    put(1)
    assert join_config("show").stdout == config(1)


def test_show_is_a_record(join_config: Callable[..., Result], put: Callable[[int], None]) -> None:
    put(1)
    record = json.loads(join_config("show", "-o", "json").stdout)
    assert (record["version"], record["text"], record["sha256"]) == (1, config(1), digest(config(1)))
    assert record["control_planes"] == {"max": 1, "approval": False}
    assert yaml.safe_load(join_config("show", "-o", "yaml").stdout) == record


def test_a_revision_is_shown(join_config: Callable[..., Result], put: Callable[[int], None]) -> None:
    put(1)
    put(2)
    assert join_config("show", "--revision", "1").stdout == config(1)
    result = join_config("show", "--revision", "7")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.endswith("there is no revision 7\nhint: the history has: 1, 2\n")


@pytest.mark.parametrize("command", ["show", "check", "rollback"])
def test_a_cluster_without_one(join_config: Callable[..., Result], command: str) -> None:
    result = join_config(command)
    assert (result.exit_code, result.stdout) == (1, "")
    assert 'error: read ConfigMap join-config: configmaps "join-config" not found\nhint: ' in result.stderr


def test_what_the_service_refuses_is_shown_with_a_warning(join_config: Callable[..., Result], client: Client) -> None:
    write(client, "broken")
    result = join_config("show")
    assert (result.exit_code, result.stdout) == (0, "broken")
    assert result.stderr.startswith("warning: the join service refuses this: join-config: expected a mapping")


def test_set_shows_what_changes(join_config: Callable[..., Result], put: Callable[[int], None]) -> None:
    put(1)
    result = join_config("set", "-", "-o", "json", stdin=config(2))
    assert result.exit_code == 0
    changes = [line for line in result.stderr.splitlines() if line[0] in "+-" and line[:3] not in {"+++", "---"}]
    assert changes == ["-  max: 1", "+  max: 2"]
    record = json.loads(result.stdout)
    assert (record["version"], record["revision"], record["changed"]) == (1, 2, True)
    assert record["sha256"] == digest(config(2))


def test_setting_what_is_there_changes_nothing(join_config: Callable[..., Result], put: Callable[[int], None]) -> None:
    put(1)
    result = join_config("set", "-", "-o", "json", stdin=config(1))
    assert (result.exit_code, result.stderr) == (0, "")
    assert (json.loads(result.stdout)["revision"], json.loads(result.stdout)["changed"]) == (1, False)


def test_a_dry_run_writes_nothing(join_config: Callable[..., Result], put: Callable[[int], None]) -> None:
    put(1)
    result = join_config("set", "--dry-run", "-", stdin=config(2))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "+  max: 2\ndry run: nothing was written\n" in result.stderr
    assert join_config("set", "--dry-run", "-", stdin=config(1)).exit_code == 0
    assert join_config("show").stdout == config(1)


def test_what_somebody_else_changed_is_not_overwritten(
    join_config: Callable[..., Result], put: Callable[[int], None]
) -> None:
    put(1)
    seen = json.loads(join_config("show", "-o", "json").stdout)["resource_version"]
    put(2)
    result = join_config("set", "--seen", seen, "-", stdin=config(3))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "error: join-config: somebody else changed it\nhint: show it again" in result.stderr
    assert join_config("show").stdout == config(2)


def test_what_was_seen_is_changed(join_config: Callable[..., Result], put: Callable[[int], None]) -> None:
    put(1)
    seen = json.loads(join_config("show", "-o", "json").stdout)["resource_version"]
    assert join_config("set", "--seen", seen, "-", stdin=config(3)).exit_code == 0


def test_what_was_broken_is_replaced(join_config: Callable[..., Result], client: Client) -> None:
    write(client, "broken\x1b[2J")
    result = join_config("set", "-", stdin=config(1))
    assert result.exit_code == 0
    assert "-broken\\x1b[2J\n" in result.stderr  # a terminal obeys nobody's bytes


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "error: stdin is empty\n"),
        ("{", "error: join-config: not YAML: "),
        ("version: 1\n", "error: join-config: neither images nor policies: nobody could join\n"),
        ("version: 1\npolicys: []\n", "error: join-config has the unknown field 'policys'\n"),
        (config(99), "max: expected a number from 1 to 7, got 99\n"),
    ],
)
def test_what_the_service_would_refuse_is_refused(
    join_config: Callable[..., Result], put: Callable[[int], None], text: str, said: str
) -> None:
    put(1)
    result = join_config("set", "-", stdin=text)
    assert (result.exit_code, result.stdout) == (1, "")
    assert said in result.stderr
    assert join_config("show").stdout == config(1)


def test_a_file_that_is_no_text(join_config: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "join-config.yaml").write_bytes(b"version: \xff\n")
    for command in ("set", "check"):
        result = join_config(command, tmp_path / "join-config.yaml")
        assert (result.exit_code, result.stdout) == (1, "")
        assert "is no UTF-8: invalid start byte at byte 9\n" in result.stderr


def test_history_says_what_was_accepted_and_when(
    join_config: Callable[..., Result], put: Callable[[int], None]
) -> None:
    for number in (1, 2):
        put(number)
    first, second = json.loads(join_config("history", "-o", "json").stdout)["revisions"]
    assert (first["number"], first["sha256"], first["current"]) == (1, digest(config(1)), False)
    assert (second["number"], second["policies"], second["current"]) == (2, ["qemu-vtpm"], True)
    age = datetime.now(UTC) - datetime.fromisoformat(second["written"])
    assert timedelta(seconds=-2) < age < timedelta(minutes=1)


def test_history_is_a_table(join_config: Callable[..., Result], put: Callable[[int], None]) -> None:
    put(1)
    heading, row = join_config("history").stdout.splitlines()
    assert heading.split() == ["revision", "written", "sha256", "holds", "accepts"]
    number, _time, shown, holds, *accepts = row.split()
    assert (number, shown, holds) == ("1", digest(config(1))[:12], "now")
    assert " ".join(accepts) == "policies: qemu-vtpm; control planes: 1"


def test_a_new_cluster_has_no_history(join_config: Callable[..., Result]) -> None:
    assert json.loads(join_config("history", "-o", "json").stdout) == {"version": 1, "revisions": []}


def test_a_rollback_shows_what_it_changed(join_config: Callable[..., Result], put: Callable[[int], None]) -> None:
    for number in (1, 2):
        put(number)
    result = join_config("rollback", "-o", "json")
    assert result.exit_code == 0
    assert "-  max: 2\n+  max: 1\n" in result.stderr
    assert json.loads(result.stdout)["revision"] == 3
    assert join_config("show").stdout == config(1)


def test_a_rollback_to_a_number(join_config: Callable[..., Result], put: Callable[[int], None]) -> None:
    for number in (1, 2, 3):
        put(number)
    assert join_config("rollback", "1").exit_code == 0
    assert join_config("show").stdout == config(1)


def test_a_rollback_out_of_what_is_broken(
    join_config: Callable[..., Result], client: Client, put: Callable[[int], None]
) -> None:
    put(1)
    write(client, "broken")
    assert join_config("check").exit_code == 2
    assert join_config("rollback").exit_code == 0
    assert join_config("check").exit_code == 0


def test_nothing_to_go_back_to(join_config: Callable[..., Result], put: Callable[[int], None]) -> None:
    put(1)
    for words in ([], ["7"]):
        result = join_config("rollback", *words)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.endswith("hint: the history has: 1\n")


def test_a_file_is_checked_without_a_cluster(
    constellation: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    result = constellation("join-config", "check", "-", stdin=config(2).encode())
    assert result.exit_code == 0
    assert result.stdout.startswith("stdin: usable\nsha256 ")
    refused = constellation("join-config", "check", "-", "-o", "json", stdin=b"version: 1\npolicys: []\n")
    assert refused.exit_code == 2
    assert json.loads(refused.stdout)["problem"] == "join-config has the unknown field 'policys'"
    assert refused.stderr.endswith("hint: did you mean policy?\n")


def test_images_are_named(constellation: Callable[..., Result]) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    manifest = ImageManifest(
        image="constellation 1.0.0",
        variant=Variant.QEMU_VTPM,
        measurements={"4": Register(bytes(32), enforced=True)},
        created=datetime(2026, 11, 21, tzinfo=UTC),
    )
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    rule = ControlPlanes(max=5, approval=True)
    text = JoinConfig(image_key=pem, images=(sign(manifest.to_document(), key),), control_planes=rule).to_yaml()
    shown = constellation("join-config", "check", "-", stdin=text.encode()).stdout
    assert "constellation 1.0.0 (qemu-vtpm)\n" in shown
    assert "at most 5\napproval        by a person\n" in shown


def test_somebody_without_rights(join_config: Callable[..., Result], clean_cluster: ControlPlane) -> None:
    kubeconfig = str(clean_cluster.kubeconfig("somebody"))
    for words in (["show"], ["set", "-"], ["history"], ["rollback"], ["check"]):
        result = join_config(*words, "--kubeconfig", kubeconfig, stdin=config(1))
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.endswith("hint: use the administrator's kubeconfig\n")


@pytest.mark.parametrize(
    "words, said",
    [
        (("set",), "Missing argument"),
        (("set", "a", "b"), "unexpected extra argument"),
        (("rollback", "0"), "not in the range"),
        (("rollback", "first"), "not a valid int"),
        (("show", "--revision", "-1"), "not in the range"),
        (("history", "-o", "xml"), "'xml'"),
        (("check", "--timeout", "0"), "not in the range"),
    ],
)
def test_wrong_words_are_explained(constellation: Callable[..., Result], words: tuple[str, ...], said: str) -> None:
    result = constellation("join-config", *words)
    assert (result.exit_code, result.stdout) == (64, "")
    assert said in result.stderr
