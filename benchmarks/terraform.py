# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a provider on our plugin framework costs, beside one on HashiCorp's: `python -m benchmarks.terraform`.

Terraform starts a provider three times for one plan, one after another, and waits for each. A run that something else
on the machine disturbs is slower, never faster: the figures are the best of several.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.table import Promise, Row, show
from benchmarks.terraform_subject import Subject, subject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

HANDSHAKE_TARGET: Final = 100  # milliseconds
PLAN_TARGET: Final = 600  # milliseconds, one resource
PLANS_TARGET: Final = 1100  # milliseconds, 200 resources
MEMORY_TARGET: Final = 60  # MiB
MANY: Final = 200

_PEER: Final = Path(__file__).parent / "terraform_peer"
_PROGRAM: Final = "terraform-provider-garden"
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


@contextmanager
def _garden(build: Callable[[Path], Path]) -> Iterator[Subject]:
    with subject("example/garden", _CONFIGURATION, build) as made:
        for count in (1, MANY):
            made.apply(count)
        (made.program.with_name("memory")).unlink(missing_ok=True)  # of starts that compiled every module first
        yield made


def _ours(folder: Path) -> Path:
    program = folder / _PROGRAM
    memory = program.with_name("memory")
    program.write_text(_SCRIPT.format(python=sys.executable, root=_ROOT, memory=memory), encoding="utf-8")
    program.chmod(0o755)
    return program


def build_peer(folder: Path) -> Path:
    """Build the provider on HashiCorp's framework."""
    program = folder / _PROGRAM
    subprocess.run(("go", "build", "-trimpath", "-o", str(program), "."), cwd=_PEER, check=True)
    return program


def _rows(rounds: int) -> Iterator[Row]:
    with _garden(_ours) as ours, _garden(build_peer) as theirs:
        figures: tuple[tuple[str, Callable[[Subject], float], int], ...] = (
            ("provider: start to handshake", Subject.handshake, HANDSHAKE_TARGET),
            ("plan, 1 resource, no change", lambda garden: garden.plan(1), PLAN_TARGET),
            (f"plan, {MANY} resources × 20 nested, no change", lambda garden: garden.plan(MANY), PLANS_TARGET),
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
    return report(__doc__, _rows)


def report(
    description: str | None,
    rows: Callable[[int], Iterable[Row]],
    *,
    needs: Sequence[str] = ("terraform", "go", "openssl"),
) -> int:
    """Measure what the command line asks for, and print it.

    Args:
        description: of the program.
        rows: measures, each figure so many times.
        needs: programs without which there is nothing to measure.

    Returns:
        Exit status: 1 where a target was missed.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=10, help="how often to measure each figure")
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    options = parser.parse_args()
    missing = [name for name in needs if shutil.which(name) is None]
    if missing:
        print(f"skipped: {', '.join(missing)} not installed", file=sys.stderr)
        return 0
    return show(rows(options.rounds), markdown=options.markdown)


if __name__ == "__main__":
    sys.exit(main())
