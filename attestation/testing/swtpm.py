# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Real TPMs made of software: swtpm, manufactured with endorsement keys and certificates of an own authority.

    with running_swtpm(tmp_path) as swtpm, Tpm.open(swtpm.address) as tpm:
        tpm.pcr_extend(15, bytes(32))

A TPM lives in its directory. Running it again there is a reboot: the seeds, stored keys and NV indexes are the same,
the registers are fresh. It needs the programs `swtpm` and `swtpm_setup`, and no privileges.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from attestation.errors import DeviceError
from attestation.tpm.device import open_device

if TYPE_CHECKING:
    from collections.abc import Iterator


START_TIMEOUT: Final = 10.0  # seconds
POLL_INTERVAL: Final = 0.005  # seconds
MAX_PORTS_TRIED: Final = 5


@dataclass(frozen=True, slots=True)
class Swtpm:
    """A TPM that runs.

    Attributes:
        address: for `Tpm.open`.
        directory: where it lives.
    """

    address: str
    directory: Path

    @property
    def tss_address(self) -> str:
        """The same through the TPM2 Software Stack, which uses the control channel beside the data channel too."""
        transport, _, place = self.address.partition("://")
        if transport == "unix":
            return f"tss:swtpm:path={place}"
        host, _, port = place.rpartition(":")
        return f"tss:swtpm:host={host},port={port}"

    @property
    def root_certificate(self) -> bytes:
        """PEM of the authority's root."""
        return (self.directory / "authority" / "swtpm-localca-rootca-cert.pem").read_bytes()

    @property
    def issuing_certificate(self) -> bytes:
        """PEM of the authority that signed the endorsement certificates."""
        return (self.directory / "authority" / "issuercert.pem").read_bytes()


def manufacture(directory: Path) -> None:
    """Give a new TPM an RSA-2048 and an ECC P-384 endorsement key, and certificates in its NV indexes.

    Args:
        directory: where the TPM and its certificate authority will live; must exist.

    Raises:
        DeviceError: a program is missing or fails.
    """
    authority = directory / "authority"
    authority.mkdir()
    settings = authority / "localca.conf"
    settings.write_text(
        f"statedir = {authority}\n"
        f"signingkey = {authority / 'signkey.pem'}\n"
        f"issuercert = {authority / 'issuercert.pem'}\n"
        f"certserial = {authority / 'certserial'}\n",
        encoding="utf-8",
    )
    options = authority / "localca.options"
    options.write_text("--platform-manufacturer Test\n--platform-model Test\n--platform-version 1\n", encoding="utf-8")
    setup = authority / "setup.conf"
    setup.write_text(
        f"create_certs_tool = {_program('swtpm_localca')}\n"
        f"create_certs_tool_config = {settings}\n"
        f"create_certs_tool_options = {options}\n",
        encoding="utf-8",
    )
    arguments = ["--tpm2", "--tpmstate", str(directory), "--config", str(setup)]
    keys = ["--create-ek-cert", "--ecc", "--lock-nvram", "--pcr-banks", "sha1,sha256,sha384"]
    _run(_program("swtpm_setup"), *arguments, *keys)


@contextmanager
def running_swtpm(
    directory: Path, *, transport: Literal["tcp", "unix"] = "tcp", endorsed: bool = True
) -> Iterator[Swtpm]:
    """Run the TPM that lives in a directory; make it first if none does.

    Args:
        directory: where it lives; must exist.
        transport: over what it listens; TCP listens on 127.0.0.1.
        endorsed: whether a new one gets endorsement keys and certificates, which takes half a second.

    Raises:
        DeviceError: a program is missing, or the TPM does not start.
    """
    if endorsed and not (directory / "authority").exists():
        manufacture(directory)
    # A path of a socket is limited to 107 bytes, and test directories are long.
    with tempfile.TemporaryDirectory(prefix="swtpm-") as sockets:
        process, address = _start(directory, Path(sockets) / "tpm.sock", transport)
        try:
            yield Swtpm(address, directory)
        finally:
            process.terminate()
            process.wait(START_TIMEOUT)


def _start(directory: Path, path: Path, transport: Literal["tcp", "unix"]) -> tuple[subprocess.Popen[bytes], str]:
    for _ in range(MAX_PORTS_TRIED):
        if transport == "unix":
            server, address = f"type=unixio,path={path}", f"unix://{path}"
            control = f"type=unixio,path={path}.ctrl"
        else:
            port = _free_port()
            server, address = f"type=tcp,port={port},bindaddr=127.0.0.1", f"tcp://127.0.0.1:{port}"
            control = f"type=tcp,port={port + 1},bindaddr=127.0.0.1"
        log = directory / "swtpm.log"
        arguments = ["--tpm2", "--tpmstate", f"dir={directory}", "--server", server, "--ctrl", control]
        process = subprocess.Popen(  # noqa: S603 - arguments are ours
            [_program("swtpm"), "socket", *arguments, "--flags", "not-need-init,startup-clear", "--log", f"file={log}"]
        )
        if _wait_until_ready(process, address):
            return process, address
        # Somebody took a port between our asking and swtpm's listening: try another.
    raise DeviceError(f"swtpm does not start: {log.read_text(encoding='utf-8', errors='replace').strip()}")


def _wait_until_ready(process: subprocess.Popen[bytes], address: str) -> bool:
    deadline = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        try:
            open_device(address).close()
        except DeviceError:
            time.sleep(POLL_INTERVAL)
        else:
            return True
    process.kill()
    process.wait()
    return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise DeviceError(f"the program {name} is not installed", hint="Debian: apt-get install swtpm swtpm-tools")
    return path


def _run(*arguments: str) -> None:
    result = subprocess.run(arguments, check=False, capture_output=True, text=True)  # noqa: S603 - arguments are ours
    if result.returncode:
        raise DeviceError(f"{Path(arguments[0]).name} failed: {result.stdout.strip()} {result.stderr.strip()}")
