# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The event source of rulebooks, as ansible-rulebook calls it, beside a real API server."""

from __future__ import annotations

import asyncio
import runpy
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from lightkube.models.core_v1 import EventSource, ObjectReference
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Event

from constellation_core.cluster_objects import JoinRequestObject
from constellation_core.names import NAMESPACE
from constellation_engine.testing.kinds import serve_our_kinds
from constellation_engine.testing.known_nodes import workspace_of_nodes
from tests.collection.playing import COLLECTION

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from lightkube import Client

    from constellation_engine.testing.control_plane import ControlPlane

SOURCE = runpy.run_path(str(COLLECTION / "extensions/eda/plugins/event_source/cluster_events.py"))
KINDS = {"join_refused", "join_config_refused", "node_pending", "measurement_drift", "unreachable"}
WAITS = {
    "role": "control-plane",
    "variant": "qemu-vtpm",
    "identity": "ab" * 32,
    "disk": "6d1f8a5e-35a5-4a3f-9c0d-0a4b3d2e1f00",
}


@asynccontextmanager
async def events(**options: object) -> AsyncIterator[asyncio.Queue[dict[str, Any]]]:
    queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    source = asyncio.create_task(SOURCE["main"](queue, {"delay": 1, **options}))
    try:
        yield queue
    finally:
        source.cancel()
        with suppress(asyncio.CancelledError):
            await source


async def next_of(queue: asyncio.Queue[dict[str, Any]]) -> dict[str, Any]:
    async with asyncio.timeout(30):
        return await queue.get()


def refuse_somebody(client: Client) -> None:
    client.create(
        Event(
            metadata=ObjectMeta(name="refused", namespace=NAMESPACE),
            involvedObject=ObjectReference(kind="ConfigMap", name="join-config", namespace=NAMESPACE),
            reason="Refused",
            message="a machine was refused: measurements.4",
            type="Warning",
            source=EventSource(component="join-service"),
            lastTimestamp=datetime.now(UTC) + timedelta(minutes=1),  # whole seconds only
        )
    )


def wait_for_a_person(client: Client) -> None:
    kind: dict[str, str] = {"apiVersion": "constellation.dev/v1", "kind": "JoinRequest"}
    client.create(JoinRequestObject(**kind, metadata=ObjectMeta(name="control-plane-1"), spec=WAITS))


async def test_refusals_and_who_waits_are_told(clean_cluster: ControlPlane) -> None:
    client = clean_cluster.client()
    serve_our_kinds(client)
    async with events(kubeconfig=str(clean_cluster.kubeconfig()), verify_every=0) as queue:
        wait_for_a_person(client)
        pending = await next_of(queue)
        refuse_somebody(client)
        refused = await next_of(queue)
    assert (pending["kind"], pending["node"], pending["identity"]) == ("node_pending", "control-plane-1", "ab" * 32)
    assert (refused["kind"], refused["message"]) == ("join_refused", "a machine was refused: measurements.4")


async def test_an_api_server_that_is_gone_is_told_and_ends_nothing(tmp_path: Path, clean_cluster: ControlPlane) -> None:
    serve_our_kinds(clean_cluster.client())
    kubeconfig = tmp_path / "kubeconfig"
    content = yaml.safe_load(clean_cluster.kubeconfig().read_text())
    gone = yaml.safe_load(clean_cluster.kubeconfig().read_text())
    gone["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    kubeconfig.write_text(yaml.safe_dump(gone))
    async with events(kubeconfig=str(kubeconfig), verify_every=0) as queue:
        assert (await next_of(queue))["kind"] == "unreachable"
        kubeconfig.write_text(yaml.safe_dump(content))
        wait_for_a_person(clean_cluster.client())
        assert (await next_of(queue))["kind"] == "node_pending"


async def test_a_workspace_knows_its_kubeconfig(tmp_path: Path, clean_cluster: ControlPlane) -> None:
    client = clean_cluster.client()
    serve_our_kinds(client)
    wait_for_a_person(client)
    workspace = workspace_of_nodes(tmp_path, {}, bytes(32))
    workspace.kubeconfig.write_bytes(clean_cluster.kubeconfig().read_bytes())
    async with events(workspace=str(workspace.folder), verify_every=0) as queue:
        assert (await next_of(queue))["kind"] == "node_pending"


@pytest.mark.parametrize(
    "options, said",
    [
        ({}, "Options workspace and kubeconfig: expected exactly one"),
        ({"workspace": "a", "kubeconfig": "b"}, "expected exactly one"),
        ({"kubeconfig": "a"}, "Option policy"),
        ({"workspace": "a", "delay": 0}, "Option delay: expected a whole number"),
        ({"workspace": "a", "verify_every": True}, "Option verify_every: expected a whole number"),
        ({"folder": "a"}, "Option folder: expected one of workspace"),
    ],
)
async def test_wrong_options_are_named(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        await SOURCE["main"](asyncio.Queue(), options)


def test_the_example_rulebook_knows_every_kind() -> None:
    rulebook = (COLLECTION / "extensions/eda/rulebooks/watch.yml").read_text()
    assert all(f'"{kind}"' in rulebook for kind in KINDS)
    assert set(yaml.safe_load(rulebook)[0]["sources"][0]["constellation.core.cluster_events"]) <= set(
        SOURCE["DEFAULTS"]
    )
