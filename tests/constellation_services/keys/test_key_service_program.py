# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The key service as a program: what it needs to start, what it speaks, and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import urlopen

import grpc.aio
import pytest
from OpenSSL import SSL

from constellation_core.conditions import Condition, wait_for
from constellation_core.errors import KeyProviderUnavailableError
from constellation_core.keys.client import KeyServiceClient
from constellation_core.keys.key_material import KeyMaterial
from constellation_core.keys.master_secret import MasterSecret
from constellation_core.keys.secret import Secret
from constellation_core.names import KEY_SERVICE_HOST
from constellation_engine.testing.pki import Authority
from constellation_engine.testing.programs import free_port
from constellation_proto.keys_pb2 import GetDataKeyRequest
from constellation_proto.keys_pb2_grpc import KeysStub
from constellation_services.errors import ServiceError
from constellation_services.keys.service import check_tls
from constellation_services.testing.key_service import (
    HOST,
    MASTER,
    SALT,
    RunningKeyService,
    expected_key,
    running_key_service,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lightkube import AsyncClient

    from constellation_engine.testing.control_plane import ControlPlane

    Tokens = Callable[[str], str]

DISK = "state-disk/3f1f5c0e-8a51-4d8e-9a66-0a4f5d8b7c21"


class Program:
    """The program with what it is started with, all of it good."""

    def __init__(self, folder: Path, pki: Path, kubeconfig: Path) -> None:
        self.port, self.status_port = free_port(), free_port()
        self.folder, self.pki, self.kubeconfig = folder, pki, kubeconfig
        self.material = folder / "key-material"
        self.material.mkdir()
        message = KeyMaterial.of(MasterSecret(MASTER, SALT)).to_message()
        for name, content in (("uri", message.uri.encode()), ("secret", message.secret), ("salt", message.salt)):
            (self.material / name).write_bytes(content)

    def start(self) -> subprocess.Popen[str]:
        options = {
            "host": HOST,
            "port": self.port,
            "status-port": self.status_port,
            "key-material": self.material,
            "pki": self.pki,
        }
        command = [sys.executable, "-m", "constellation_services.main", "keys"]
        command += [f"--{name}={value}" for name, value in options.items()]
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig)}
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[str]]:
        with self.start() as process:
            try:
                ready = Condition("the key service is ready", self._missing, not_yet=(OSError,))
                wait_for([ready], timeout=30)
                yield process
            finally:
                process.kill()

    def _missing(self) -> None:
        urlopen(f"http://{HOST}:{self.status_port}/readyz", timeout=2).close()

    def failure(self) -> dict[str, str]:
        """What it says when it does not start."""
        with self.start() as process:
            _, errors = process.communicate(timeout=30)
        last: dict[str, str] = json.loads(errors.splitlines()[-1])
        return {"status": str(process.returncode), **last}


@pytest.fixture
def program(control_plane: ControlPlane, tmp_path: Path) -> Program:
    return Program(tmp_path, control_plane.pki, control_plane.kubeconfig())


async def test_it_gives_keys_writes_its_audit_and_ends_when_it_is_told_to(program: Program, token_of: Tokens) -> None:
    (program.folder / "token").write_text(token_of("join-service"))
    with program.running() as process:
        async with KeyServiceClient(HOST, program.port, program.pki / "ca.crt", program.folder / "token") as keys:
            assert await keys.data_key(DISK, 32) == expected_key(DISK)
        process.send_signal(signal.SIGTERM)
        written, errors = await asyncio.to_thread(process.communicate, timeout=30)
    assert process.returncode == 0
    assert [json.loads(line)["outcome"] for line in written.splitlines()] == ["given"]
    assert errors == ""


def test_it_speaks_tls_1_3_with_a_post_quantum_key_exchange_and_nothing_older(program: Program) -> None:
    with program.running():
        new = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), socket.create_connection((HOST, program.port)))
        new.set_connect_state()
        new.do_handshake()
        assert (new.get_protocol_version_name(), new.get_group_name()) == ("TLSv1.3", "X25519MLKEM768")
        new.close()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with socket.create_connection((HOST, program.port)) as old, pytest.raises(ssl.SSLError):
            context.wrap_socket(old)


def memory_of(process: subprocess.Popen[str]) -> int:
    """Resident memory in MiB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) // 1024


@pytest.mark.slow
async def test_half_open_connections_cost_little_and_keep_nobody_out(program: Program, token_of: Tokens) -> None:
    (program.folder / "token").write_text(token_of("join-service"))
    with program.running() as process, ExitStack() as strangers:
        for _ in range(3000):
            strangers.enter_context(socket.create_connection((HOST, program.port)))
        async with KeyServiceClient(HOST, program.port, program.pki / "ca.crt", program.folder / "token") as keys:
            assert await keys.data_key(DISK, 32) == expected_key(DISK)
        assert memory_of(process) < 170


def test_without_key_material_it_does_not_start(program: Program) -> None:
    (program.material / "salt").unlink()
    failure = program.failure()
    assert (failure["status"], failure["hint"]) == ("1", "is the Secret key-material mounted?")
    assert str(program.material / "salt") in failure["message"]


def test_with_a_provider_that_does_not_exist_it_does_not_start(program: Program) -> None:
    (program.material / "uri").write_text("vault://x")
    failure = program.failure()
    assert (failure["status"], failure["hint"]) == ("1", "use cluster:// or awskms://")


def test_without_an_authority_it_does_not_start(program: Program) -> None:
    program.pki = program.folder
    assert "cannot read" in program.failure()["message"]


async def test_a_server_that_would_speak_tls_1_2_is_found_out(tmp_path: Path) -> None:
    Authority.create(tmp_path / "ca", "kubernetes").certify(tmp_path / "server", "server", server=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    async with await asyncio.start_server(lambda _, writer: writer.close(), HOST, 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ServiceError, match=r"would speak TLS 1\.2"):
            await check_tls(HOST, port)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        await check_tls(HOST, port)


class Slow:
    """A `KeyProvider` that gives its key when it is let."""

    def __init__(self) -> None:
        self.asked, self.may = asyncio.Event(), asyncio.Event()

    async def data_key(self, _key_id: str, length: int) -> Secret:
        self.asked.set()
        await self.may.wait()
        return Secret(b"k" * length)


def channel_of_grpcio(service: RunningKeyService) -> grpc.aio.Channel:
    credentials = grpc.ssl_channel_credentials((service.pki / "ca.crt").read_bytes())
    override = [("grpc.ssl_target_name_override", KEY_SERVICE_HOST)]
    return grpc.aio.secure_channel(f"{HOST}:{service.listening.port}", credentials, override)


async def test_requests_under_way_end_before_it_does(
    api: AsyncClient, control_plane: ControlPlane, tmp_path: Path, token_of: Tokens
) -> None:
    provider, stop = Slow(), asyncio.Event()

    async def serve_until_stopped() -> None:
        async with running_key_service(api, control_plane.pki, tmp_path, provider=provider) as service:
            started.set_result(service)
            await stop.wait()

    started = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve_until_stopped())
    service, token = await started, token_of("join-service")
    async with channel_of_grpcio(service) as channel:  # that of grpclib lets go as soon as a server begins to stop
        metadata = (("authorization", f"Bearer {token}"),)
        waiting = KeysStub(channel).GetDataKey(GetDataKeyRequest(id=DISK, length=32), metadata=metadata)  # type: ignore[no-untyped-call]
        await provider.asked.wait()
        stop.set()
        async with service.client(token, timeout=0.3) as keys:
            with pytest.raises(KeyProviderUnavailableError):
                await keys.data_key(DISK, 32)
        with pytest.raises(HTTPError, match="503"):
            await asyncio.to_thread(urlopen, f"http://{HOST}:{service.listening.status_port}/readyz", timeout=5)
        assert not serving.done()
        provider.may.set()
        assert (await waiting).key == b"k" * 32
    await serving
