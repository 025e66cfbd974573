# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Objects of the services are written several at a time, and what is refused is named."""

import asyncio
from pathlib import Path

import pytest
import yaml

from constellation_engine.errors import ClusterError
from constellation_engine.local_cluster import ClusterSpec, Workspace, objects
from constellation_engine.testing.node_images import FakeImage
from constellation_engine.testing.programs import free_port


@pytest.fixture(params=[1, 3], ids=["one control plane", "three"])
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Workspace:
    """A workspace whose API server is gone."""
    monkeypatch.setattr(objects, "services_reference", lambda _: f"localhost/services@sha256:{'0' * 64}")
    image = FakeImage().write(tmp_path / "image").path
    made = Workspace.create(tmp_path / "workspace", ClusterSpec(image=image, control_planes=request.param))
    server = {"server": f"http://127.0.0.1:{free_port()}"}
    made.kubeconfig.write_text(
        yaml.safe_dump(
            {
                "clusters": [{"name": "one", "cluster": server}],
                "users": [{"name": "admin", "user": {}}],
                "contexts": [{"name": "it", "context": {"cluster": "one", "user": "admin"}}],
                "current-context": "it",
            }
        )
    )
    return made


def test_the_object_that_cannot_be_written_is_named(workspace: Workspace) -> None:
    with pytest.raises(ClusterError, match="write Namespace constellation-system: the API server does not answer"):
        asyncio.run(objects.apply(workspace, objects.services(workspace)[0], lambda _: None))


def test_the_first_of_several_refusals_is_the_reason(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "_stage", lambda _: 0)
    with pytest.raises(ClusterError, match="does not answer"):
        asyncio.run(objects.apply(workspace, objects.services(workspace)[0], lambda _: None))


def test_what_joining_does_not_need_comes_after_it(workspace: Workspace) -> None:
    first, later = objects.services(workspace)
    assert [item.metadata.name for item in first if item.kind == "DaemonSet" and item.metadata] == [
        "join-service",
        "key-service",
    ]
    assert [item.metadata.name for item in later if item.metadata] == ["verification-service", "storage-service"]
