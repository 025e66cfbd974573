# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a provider on our plugin framework costs, beside one on HashiCorp's: `python -m benchmarks.terraform`.

Terraform starts a provider three times for one plan, one after another, and waits for each. A run that something else
on the machine disturbs is slower, never faster: the figures are the best of several.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING, Final

from benchmarks import machine
from benchmarks.table import Promise, Row, as_markdown, as_text
from terraform_provider_constellation.plugin.serving.handshake import COOKIE, COOKIE_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HANDSHAKE_TARGET: Final = 100  # milliseconds
PLAN_TARGET: Final = 600  # milliseconds, one resource
PLANS_TARGET: Final = 1100  # milliseconds, 200 resources
MEMORY_TARGET: Final = 60  # MiB
MANY: Final = 200

_PEER: Final = Path(__file__).parent / "terraform_peer"
_ROOT: Final = Path(__file__).parents[1]
_SCRIPT: Final = """#!{python}
import re, sys
sys.path.insert(0, "{root}")
from terraform_provider_constellation.plugin.serving import serve

def make():
    from benchmarks.terraform_garden import Garden
    return Garden()

status = serve(make, address="registry.terraform.io/example/garden")
with open("/proc/self/status") as own, open("{memory}", "a") as file:  # ru_maxrss would count what Terraform has, too
    print(re.search(r"VmHWM:\\s+(\\d+) kB", own.read())[1], file=file)
sys.exit(status)
"""
_CONFIGURATION: Final = """
terraform {{
  required_providers {{
    garden = {{ source = "example/garden" }}
  }}
}}
resource "garden_bed" "x" {{
  count  = {count}
  name   = "bed-${{count.index}}"
  plants = [for index in range(20) : {{ name = "plant-${{index}}" }}]
}}
"""


@dataclass(frozen=True, slots=True)
class Subject:
    """A provider, and a folder in which Terraform uses it."""

    program: Path
    folder: Path

    def handshake(self) -> float:
        """Milliseconds from the start to the line on standard output."""
        environment = self._environment() | {COOKIE_NAME: COOKIE, "PLUGIN_PROTOCOL_VERSIONS": "6"}
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

    def plan(self, count: int) -> float:
        """Milliseconds of a plan that changes nothing."""
        start = perf_counter()
        self._terraform("plan", "-detailed-exitcode", f"-state={count}.tfstate", count=count)
        return (perf_counter() - start) * 1000

    def apply(self, count: int) -> None:
        """Make what is planned later."""
        self._terraform("apply", "-auto-approve", f"-state={count}.tfstate", count=count)

    def _terraform(self, *arguments: str, count: int) -> None:
        (self.folder / "main.tf").write_text(_CONFIGURATION.format(count=count), encoding="utf-8")
        command = ("terraform", *arguments, "-no-color")
        done = subprocess.run(
            command, cwd=self.folder, env=self._environment(), check=False, capture_output=True, text=True
        )
        if done.returncode:
            raise RuntimeError(f"terraform {arguments[0]}: {done.stdout}{done.stderr}")

    def _environment(self) -> dict[str, str]:
        own = {"TF_CLI_CONFIG_FILE": str(self.folder / "tool.rc"), "CHECKPOINT_DISABLE": "1"}
        compiled = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(self.folder / "compiled")}
        return os.environ | own | compiled


@contextmanager
def _subject(build: Callable[[Path], None]) -> Iterator[Subject]:
    with TemporaryDirectory() as name:
        folder = Path(name)
        program = folder / "bin" / "terraform-provider-garden"
        program.parent.mkdir()
        build(program)
        override = f'dev_overrides {{ "example/garden" = "{program.parent}" }}\n  direct {{}}'
        (folder / "tool.rc").write_text(f"provider_installation {{\n  {override}\n}}\n", encoding="utf-8")
        _write_certificate(folder / "client.pem")
        subject = Subject(program, folder)
        for count in (1, MANY):
            subject.apply(count)
        program.with_name("memory").unlink(missing_ok=True)  # of starts that compiled every module first
        yield subject


def _ours(program: Path) -> None:
    memory = program.with_name("memory")
    program.write_text(_SCRIPT.format(python=sys.executable, root=_ROOT, memory=memory), encoding="utf-8")
    program.chmod(0o755)


def _theirs(program: Path) -> None:
    subprocess.run(("go", "build", "-trimpath", "-o", str(program), "."), cwd=_PEER, check=True)


def _write_certificate(path: Path) -> None:
    """As go-plugin makes it for every start: self-signed, with a P-521 key."""
    command = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp521r1", "-nodes")
    output = ("-subj", "/CN=localhost", "-keyout", os.devnull, "-out", str(path))
    subprocess.run((*command, *output), check=True, capture_output=True)


def _rows(rounds: int) -> Iterator[Row]:
    with _subject(_ours) as ours, _subject(_theirs) as theirs:
        figures: tuple[tuple[str, Callable[[Subject], float], int], ...] = (
            ("provider: start to handshake", Subject.handshake, HANDSHAKE_TARGET),
            ("plan, 1 resource, no change", lambda subject: subject.plan(1), PLAN_TARGET),
            (f"plan, {MANY} resources × 20 nested, no change", lambda subject: subject.plan(MANY), PLANS_TARGET),
        )
        for what, measure, target in figures:
            best, peer = (min(measure(subject) for _ in range(rounds)) for subject in (ours, theirs))
            promise = Promise(f"≤ {target} ms", kept=best <= target)
            yield Row(
                what=what, ours=f"{best:.0f} ms", peer=f"{peer:.0f} ms", ratio=f"{peer / best:.2f}", promises=(promise,)
            )
        memory = max(map(int, ours.program.with_name("memory").read_text(encoding="utf-8").split())) / 1024
        promise = Promise(f"≤ {MEMORY_TARGET} MiB", kept=memory <= MEMORY_TARGET)
        yield Row(what="provider: peak memory of all of this", ours=f"{memory:.0f} MiB", promises=(promise,))


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="how often to measure each figure")
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    options = parser.parse_args()
    missing = [name for name in ("terraform", "go", "openssl") if shutil.which(name) is None]
    if missing:
        print(f"skipped: {', '.join(missing)} not installed", file=sys.stderr)
        return 0
    rows = list(_rows(options.rounds))
    print(machine.describe(None))
    print(as_markdown(rows) if options.markdown else as_text(rows))
    return int(not all(promise.kept for row in rows for promise in row.promises))


if __name__ == "__main__":
    sys.exit(main())
