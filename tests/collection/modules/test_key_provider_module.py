# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A key provider is tried, and what it does not allow is said: AWS KMS runs here, on loopback."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from botocore.session import get_session
from moto.server import ThreadedMotoServer

from tests.collection.modules.running import run_module

if TYPE_CHECKING:
    from collections.abc import Iterator

REGION = "eu-central-1"


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def key(endpoint: str) -> Iterator[str]:
    client = get_session().create_client("kms", region_name=REGION, endpoint_url=endpoint)
    yield str(client.create_key()["KeyMetadata"]["KeyId"])
    client.close()


def ask(endpoint: str, key: str) -> dict[str, Any]:
    return run_module("key_provider_info", uri=f"awskms://{REGION}/{key}?endpoint={quote(endpoint, safe='')}")


def test_a_key_that_can_be_used_is_told(endpoint: str, key: str) -> None:
    answer = ask(endpoint, key)
    assert (answer["changed"], answer["scheme"], answer["has_master_secret"]) == (False, "awskms", False)


def test_a_key_that_is_not_there_is_told(endpoint: str) -> None:
    assert "NotFoundException" in ask(endpoint, "00000000-0000-0000-0000-000000000000")["msg"]


def test_a_master_secret_needs_nobody() -> None:
    assert run_module("key_provider_info", uri="cluster://")["has_master_secret"]


@pytest.mark.parametrize(
    "arguments, said",
    [
        ({}, "uri"),
        ({"uri": "vault://x"}, "not supported yet"),
        ({"uri": "nonsense"}, "expected a URI of a known kind"),
        ({"uri": "awskms://nowhere/x"}, "expected a region"),
    ],
)
def test_what_is_wrong_is_named(arguments: dict[str, Any], said: str) -> None:
    answer = run_module("key_provider_info", **arguments)
    assert answer["failed"]
    assert said in answer["msg"]
