# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What our Terraform provider costs, as a script and packed: `python -m benchmarks.provider`.

Beside it stands a trivial provider on HashiCorp's framework, as in `benchmarks/terraform.py`, where more of it is.
Clusters are planned from their state alone (`-refresh=false`), so that no network is in the figures. All that a look at
a cluster loads is: the plan wants the same modules.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from attestation.policy import Policy
from benchmarks import footprint
from benchmarks.table import Promise, Row
from benchmarks.terraform import MANY, MEMORY_TARGET, PLAN_TARGET, PLANS_TARGET, build_peer, report
from benchmarks.terraform_subject import Subject, subject
from constellation_core.join_config import JoinConfig
from terraform_provider_constellation.main import ADDRESS
from terraform_provider_constellation.packaging.archive import unpack_archive
from terraform_provider_constellation.packaging.mirror import Mirror, Tool
from terraform_provider_constellation.packaging.package import Package, package

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

VERSION: Final = "0.0.1"
SCRIPT_TARGET: Final = 100  # milliseconds to the handshake
PACKED_TARGET: Final = 130  # the same
SIZE_TARGET: Final = 16.0  # MB

_SOURCE: Final = ADDRESS.partition("/")[2]
_LOOK: Final = "constellation_engine.local_cluster.phases, constellation_engine.cluster.status_reading"
_REGISTERS: Final = {str(index): {"expected": f"{index:02x}" * 32, "enforced": True} for index in (4, 9, 11, 12, 13)}
_POLICY: Final = {"version": 1, "variant": "qemu-vtpm", "measurements": _REGISTERS}
_JOIN_CONFIG: Final = JoinConfig(explicit=(Policy.from_mapping(_POLICY),)).to_yaml()
_CONFIGURATION: Final = f"""
terraform {{{{
  required_providers {{{{
    constellation = {{{{ source = "{_SOURCE}" }}}}
  }}}}
}}}}
resource "constellation_cluster" "x" {{{{
  count       = {{count}}
  workspace   = "/nowhere/${{{{count.index}}}}"
  join_config = file("join-config.yaml")
}}}}
"""
_TEXTS: Final = ("name", "uid", "kubernetes_version", "kubeconfig_path", "host", "cluster_ca_certificate", "cluster_id")
_ENDPOINTS: Final = ("in_cluster_endpoint", "out_of_cluster_endpoint")
_SENSITIVE: Final = ("master_secret", "master_secret_wo")


@contextmanager
def _constellation(fill: Callable[[Path], Path]) -> Iterator[Subject]:
    with subject(_SOURCE, _CONFIGURATION, fill) as made:
        (made.folder / "join-config.yaml").write_text(_JOIN_CONFIG, encoding="utf-8")
        for count in (1, MANY):
            (made.folder / f"{count}.tfstate").write_text(json.dumps(_state(count)), encoding="utf-8")
            _plan(made, count)  # compiles every module
        yield made


def _state(count: int) -> dict[str, Any]:
    """What Terraform has of clusters that are well."""
    known: dict[str, Any] = dict.fromkeys((*_TEXTS, *_ENDPOINTS), "x") | {"on_destroy": "forget", "machines": ["x"]}
    known |= dict.fromkeys(("ready", "reachable", "attested"), True) | {"nodes": [], "problems": []}
    private = base64.b64encode(b'{"join_config": "argument"}').decode()
    clusters = [
        {
            "index_key": index,
            "schema_version": 0,
            "attributes": {"workspace": f"/nowhere/{index}", "join_config": _JOIN_CONFIG, **known},
            "private": private,
            "sensitive_attributes": [[{"type": "get_attr", "value": name}] for name in _SENSITIVE],
        }
        for index in range(count)
    ]
    where = {"mode": "managed", "type": "constellation_cluster", "name": "x", "provider": f'provider["{ADDRESS}"]'}
    return {"version": 4, "serial": 1, "lineage": "x", "outputs": {}, "resources": [{**where, "instances": clusters}]}


def _plan(constellation: Subject, count: int, **environment: str) -> float:
    return constellation.plan(count, "-refresh=false", **environment)


def _memory(constellation: Subject) -> float:
    """Peak memory in MiB of a provider that plans many clusters."""
    command, pipe = (str(constellation.program), "--debug"), subprocess.PIPE
    with subprocess.Popen(command, env=constellation.environment(), stdout=pipe, text=True) as process:
        line = process.stdout.readline() if process.stdout else ""
        attachment = line.partition("=")[2].strip().strip("'")
        _plan(constellation, MANY, TF_REATTACH_PROVIDERS=attachment)
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
        process.terminate()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    if found is None:
        raise RuntimeError(f"expected VmHWM of a process, got {status!r}")
    return int(found[1]) / 1024


def _script(folder: Path) -> Path:
    (program,) = Mirror(folder, Tool.TERRAFORM).install_link(VERSION).folder.iterdir()
    return program


def _rows(made: Package, rounds: int) -> Iterator[Row]:
    def unpacked(folder: Path) -> Path:
        unpack_archive(made.archive, folder)
        (program,) = folder.glob("terraform-provider-*")
        return program

    with ExitStack() as stack:
        script, packed = (stack.enter_context(_constellation(fill)) for fill in (_script, unpacked))
        peer = stack.enter_context(subject("example/garden", "", build_peer))
        best = min(peer.handshake() for _ in range(rounds))
        peers_size = peer.program.stat().st_size / 1_000_000
        look = footprint.import_milliseconds(_LOOK, rounds)
        for name, ours, target in (("script", script, SCRIPT_TARGET), ("packed", packed, PACKED_TARGET)):
            handshake = min(ours.handshake() for _ in range(rounds))
            yield _row(f"{name}: start to handshake", handshake, target, peer=f"{best:.0f} ms")
            one = min(_plan(ours, 1) for _ in range(rounds))
            yield _row(f"{name}: plan, 1 cluster, no change", one, PLAN_TARGET)
            many = min(_plan(ours, MANY) for _ in range(rounds))
            yield _row(f"{name}: plan, {MANY} clusters, no change", many, PLANS_TARGET)
            yield _row(f"{name}: peak memory", _memory(ours), MEMORY_TARGET, unit="MiB")
    yield Row(what="of each plan: loading the engine, processor time", ours=f"{look:.0f} ms")
    size = made.archive.stat().st_size / 1_000_000
    yield _row("zip", size, SIZE_TARGET, unit="MB", peer=f"{peers_size:.1f} MB, not zipped")


def _row(what: str, figure: float, target: float, *, unit: str = "ms", peer: str = "–") -> Row:
    promise = Promise(f"≤ {target:g} {unit}", kept=figure <= target)
    shown = f"{figure:.1f}" if unit == "MB" else f"{figure:.0f}"
    return Row(what=what, ours=f"{shown} {unit}", peer=peer, promises=(promise,))


def main() -> int:
    """Measure and print."""

    def rows(rounds: int) -> Iterator[Row]:
        with TemporaryDirectory() as folder:
            yield from _rows(package(Path(folder), VERSION, timeout=900), rounds)

    return report(__doc__, rows)


if __name__ == "__main__":
    sys.exit(main())
