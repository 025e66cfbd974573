# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A provider that Terraform uses in a folder, and how long that takes."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from types import MappingProxyType
from typing import TYPE_CHECKING

from benchmarks.footprint import compiled
from terraform_provider_constellation.plugin.serving.handshake import COOKIE, COOKIE_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


@contextmanager
def subject(source: str, configuration: str, build: Callable[[Path], Path]) -> Iterator[Subject]:
    """Give a provider a folder, with nothing else in it.

    Args:
        source: what configurations call it: `example/garden`.
        configuration: what Terraform shall plan; `{count}` stands for how many resources.
        build: puts the program into a folder, and says where it is.
    """
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "bin").mkdir()
        program = build(folder / "bin")
        override = f'dev_overrides {{ "{source}" = "{program.parent}" }}\n  direct {{}}'
        (folder / "tool.rc").write_text(f"provider_installation {{\n  {override}\n}}\n", encoding="utf-8")
        _write_certificate(folder / "client.pem")
        yield Subject(program, folder, configuration)


@dataclass(frozen=True, slots=True)
class Subject:
    """A provider, and a folder in which Terraform uses it."""

    program: Path
    folder: Path
    configuration: str

    def handshake(self) -> float:
        """Milliseconds from the start to the line on standard output."""
        environment = self.environment() | {COOKIE_NAME: COOKIE, "PLUGIN_PROTOCOL_VERSIONS": "6"}
        certificate = (self.folder / "client.pem").read_text(encoding="utf-8")
        start = perf_counter()
        pipe = subprocess.PIPE
        command, environment = (str(self.program),), environment | {"PLUGIN_CLIENT_CERT": certificate}
        with subprocess.Popen(command, env=environment, stdout=pipe, stderr=subprocess.DEVNULL) as process:
            line = process.stdout.readline() if process.stdout else b""
            milliseconds = (perf_counter() - start) * 1000
            process.kill()
        if not line.startswith(b"1|6|unix|"):
            raise RuntimeError(f"expected a line of go-plugin, got {line!r}")
        return milliseconds

    def plan(self, count: int, *options: str, **environment: str) -> float:
        """Milliseconds of a plan that changes nothing."""
        start = perf_counter()
        state = f"-state={count}.tfstate"
        self._terraform("plan", "-detailed-exitcode", state, *options, count=count, environment=environment)
        return (perf_counter() - start) * 1000

    def apply(self, count: int) -> None:
        """Make what is planned later."""
        self._terraform("apply", "-auto-approve", f"-state={count}.tfstate", count=count)

    def _terraform(self, *arguments: str, count: int, environment: Mapping[str, str] = MappingProxyType({})) -> None:
        (self.folder / "main.tf").write_text(self.configuration.format(count=count), encoding="utf-8")
        command = ("terraform", *arguments, "-no-color")
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**self.environment(), **environment},
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"terraform {arguments[0]}: {done.stdout}{done.stderr}")

    def environment(self) -> dict[str, str]:
        """What its programs shall know."""
        own = {"TF_CLI_CONFIG_FILE": str(self.folder / "tool.rc"), "CHECKPOINT_DISABLE": "1"}
        return os.environ | own | compiled(self.folder / "compiled")


def _write_certificate(path: Path) -> None:
    """As go-plugin makes it for every start: self-signed, with a P-521 key."""
    command = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp521r1", "-nodes")
    output = ("-subj", "/CN=localhost", "-keyout", os.devnull, "-out", str(path))
    subprocess.run((*command, *output), check=True, capture_output=True)
