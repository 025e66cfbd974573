# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Which machines may join: written once, shown before, and there is a way back; with a real API server."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from attestation.variant import Variant
from constellation_core.join_config import ControlPlanes, JoinConfig
from constellation_core.strict_yaml import dump_yaml
from constellation_engine.cluster.join_config import history, put, show
from constellation_engine.local_cluster import Workspace
from constellation_engine.local_cluster.settings import read_settings
from constellation_engine.testing.known_nodes import workspace_of_nodes
from constellation_engine.testing.node_images import BUILD, OTHER_KEY, FakeImage
from constellation_services.testing.verified_node import POLICY
from tests.collection.modules.running import run_module

if TYPE_CHECKING:
    from pathlib import Path

    from constellation_engine.testing.control_plane import ControlPlane


def document(most: int) -> str:
    return JoinConfig(explicit=(POLICY,), control_planes=ControlPlanes(max=most)).to_yaml()


def keep(cluster: ControlPlane, *, check: bool = False, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - options
    given = {"kubeconfig": str(cluster.kubeconfig()), **arguments}
    return run_module("join_config", check=check, **{name: value for name, value in given.items() if value})


def test_it_is_written_once(clean_cluster: ControlPlane) -> None:
    first = keep(clean_cluster, document=document(1))
    assert (first["changed"], first["revision"], first["revisions"]) == (True, 1, [])
    assert show(clean_cluster.client()).text == document(1)
    again = keep(clean_cluster, document=f"# the same in other words\n{document(1)}")
    assert (again["changed"], again["revision"], again["document"]) == (False, 1, document(1))


def test_check_mode_shows_the_difference_and_writes_nothing(clean_cluster: ControlPlane) -> None:
    put(clean_cluster.client(), document(1))
    predicted = keep(clean_cluster, check=True, document=document(3))
    assert show(clean_cluster.client()).text == document(1)
    done = keep(clean_cluster, document=document(3))
    assert predicted["changed"]
    assert predicted["diff"] == done["diff"] == {"before": document(1), "after": document(3)}


def test_there_is_a_way_back(clean_cluster: ControlPlane) -> None:
    for most in (1, 3, 5):
        put(clean_cluster.client(), document(most))
    back: dict[str, Any] = {"revision": 1}
    answer = keep(clean_cluster, **back)
    assert (answer["changed"], answer["revision"], answer["document"]) == (True, 4, document(1))
    assert not keep(clean_cluster, **back)["changed"]
    assert [one.text for one in history(clean_cluster.client())][-1] == document(1)


def test_it_is_written_from_images_and_what_else_was_demanded_stays(
    clean_cluster: ControlPlane, tmp_path: Path
) -> None:
    old, new = (
        FakeImage(build=replace(BUILD, version=version)).write(tmp_path / version) for version in ("0.1.0", "0.2.0")
    )
    first = keep(clean_cluster, images=[str(old.path)], max_control_planes=5, approval=True)
    assert first["changed"]
    both: dict[str, Any] = {"images": [str(old.path), str(new.path)]}
    answer = keep(clean_cluster, **both)
    written = JoinConfig.from_yaml(answer["document"])
    assert written.control_planes == ControlPlanes(max=5, approval=True)
    assert [one.verify(written.image_key).image for one in written.images] == [
        "constellation-node 0.1.0",
        "constellation-node 0.2.0",
    ]
    assert not keep(clean_cluster, **both)["changed"]


def test_it_is_written_from_policies(clean_cluster: ControlPlane, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(dump_yaml(POLICY.to_mapping()))
    answer = keep(clean_cluster, policies=[str(file)])
    assert JoinConfig.from_yaml(answer["document"]).variants == {Variant.QEMU_VTPM}


def test_the_workspace_remembers_it(clean_cluster: ControlPlane, tmp_path: Path) -> None:
    """What `cluster` wants is there, so that it does not take the change back."""
    folder = str(workspace_of_nodes(tmp_path, {}, bytes(32)).folder)
    workspace = Workspace.open(tmp_path / "mini")
    workspace.initialised(bytes(32), clean_cluster.kubeconfig().read_bytes())
    keep(clean_cluster, kubeconfig=None, workspace=folder, document=document(3), check=True)
    assert not read_settings(workspace).join_config
    keep(clean_cluster, kubeconfig=None, workspace=folder, document=document(3))
    assert read_settings(workspace).join_config == document(3)


@pytest.fixture
def places(tmp_path: Path) -> dict[str, str]:
    """Where the files of bad input are."""
    (tmp_path / "bad.yaml").write_text("variant: qemu-vtpm\n")
    FakeImage().write(tmp_path / "image")
    FakeImage(key=OTHER_KEY).write(tmp_path / "foreign")
    return {name.partition(".")[0]: str(tmp_path / name) for name in ("bad.yaml", "image", "foreign")}


@pytest.mark.parametrize(
    "arguments, said",
    [
        ({}, "one of the following is required: document, revision, images, policies"),
        ({"document": "version: 2"}, "join-config"),
        ({"document": "{}", "revision": 1}, "mutually exclusive"),
        ({"document": "{}", "images": ["x"]}, "mutually exclusive"),
        ({"revision": 1, "approval": True}, "mutually exclusive"),
        ({"revision": 7}, "Option revision: expected one of the history (none), got 7"),
        ({"images": ["./nowhere"]}, "nowhere"),
        ({"images": ["{image}", "{foreign}"]}, "Option images: expected images that one key signed"),
        ({"policies": ["/nowhere.yaml"]}, "Option policies: expected files that can be read"),
        ({"policies": ["{bad}"]}, "Option policies: expected policies, JSON or YAML"),
        ({"images": ["{image}"], "max_control_planes": 9}, "Option max_control_planes: expected 1 to 7"),
        ({"revision": 1, "timeout": -1}, "Option timeout: expected at least one second"),
        ({"revision": 1, "kubeconfig": "/nowhere"}, "no kubeconfig that can be used"),
    ],
)
def test_what_is_wrong_is_named(
    clean_cluster: ControlPlane, places: dict[str, str], arguments: dict[str, Any], said: str
) -> None:
    def placed(value: Any) -> Any:  # noqa: ANN401 - any option
        return [text.format(**places) for text in value] if isinstance(value, list) else value

    answer = keep(clean_cluster, **{name: placed(value) for name, value in arguments.items()})
    assert answer["failed"]
    assert said.lower() in answer["msg"].lower()
