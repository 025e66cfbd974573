# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Any node proves at any time what it booted; who does not is not let in, and one reads why."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Interface
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from constellation_core.channel.client import attested_channel
from constellation_core.channel.verifier import PolicyVerifier
from constellation_core.errors import ChannelError
from constellation_engine.machines import Machine, qemu
from constellation_engine.node_image.image_folder import ImageFile
from constellation_engine.node_image.targets import Profile
from tests.node_image.built_images import kept_image, with_kernel_image, with_section

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.mini.cluster import Cluster

pytestmark = pytest.mark.timeout(2400)

NODES = ["control-plane-0", "worker-0"]
Intrude = Callable[[str, Path], Machine]


def test_verify_accepts_every_node_and_says_that_no_hardware_vouches(cluster: Cluster) -> None:
    verdict = json.loads(cluster.run("verify", "-o", "json").stdout)
    assert sorted(node["node"] for node in verdict["nodes"] if node["accepted"]) == NODES
    assert all("hardware root" in json.dumps(node["statement"]["warnings"]) for node in verdict["nodes"])


def test_one_changed_register_refuses_every_node_and_is_named(cluster: Cluster, tmp_path: Path) -> None:
    record: dict[str, Any] = cluster.image.policy().to_mapping()
    record["measurements"]["9"]["expected"] = "ab" * 32
    policy = tmp_path / "policy.yaml"
    policy.write_text(yaml.safe_dump(record))
    verdict = json.loads(cluster.run("verify", "--policy", str(policy), "-o", "json", code=2).stdout)
    assert {node["node"]: [one["name"] for one in node["mismatches"]] for node in verdict["nodes"]} == {
        name: ["measurements.9"] for name in NODES
    }


@pytest.fixture
def intrude(cluster: Cluster, tmp_path: Path) -> Iterator[Intrude]:
    """Put a machine into the cluster's network that says it is a worker."""
    made: list[Machine] = []

    def start(name: str, disk: Path) -> Machine:
        like = cluster.machine("worker-0").spec
        address = IPv4Interface(f"192.168.77.{200 + len(made)}/24")
        spec = replace(
            like, image=disk, metadata={**like.metadata, "name": name}, addresses=(address,), forwards=(), memory=1536
        )
        machine = Machine.create(tmp_path / name, spec)
        made.append(machine)
        machine.start()
        return machine

    yield start
    for machine in made:
        machine.destroy()


def _with_one_word_more(text: bytes) -> bytes:
    return text.rstrip(b"\0\n") + b" quiet"


@pytest.mark.slow
def test_no_other_image_is_let_in_and_everybody_reads_why(
    cluster: Cluster, intrude: Intrude, repository: Path, tmp_path: Path
) -> None:
    """A kernel command line with one word more, and the image for debugging: signed by the same key, not listed."""
    longer = with_section(cluster.image.require(ImageFile.UKI).read_bytes(), ".cmdline", _with_one_word_more)
    intrude("modified", with_kernel_image(cluster.image, tmp_path, longer).require(ImageFile.DISK))
    intrude("debugging", kept_image(repository, Profile.DEBUG).require(ImageFile.DISK))

    def unseen() -> str | None:
        refusals = json.dumps(json.loads(cluster.run("status", "-o", "json", check=False).stdout)["refusals"])
        return ", ".join(address for address in ("192.168.77.200", "192.168.77.201") if address not in refusals) or None

    cluster.wait("both refusals", unseen, seconds=900)
    assert sorted(node["metadata"]["name"] for node in cluster.get("nodes")["items"]) == NODES


@pytest.mark.slow
def test_a_machine_without_a_tpm_says_so_and_asks_nobody(
    cluster: Cluster, intrude: Intrude, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete = qemu._vtpm

    def without_tpm(launch: qemu.Launch, interface: str) -> Iterator[str]:
        words = list(complete(launch, interface))
        yield from words[: words.index("-tpmdev")]

    monkeypatch.setattr(qemu, "_vtpm", without_tpm)
    machine = intrude("without-tpm", cluster.image.require(ImageFile.DISK))
    cluster.wait("its refusal", lambda: None if "no TPM" in machine.console_log() else "not yet", seconds=600)
    assert sorted(node["metadata"]["name"] for node in cluster.get("nodes")["items"]) == NODES


async def test_a_client_without_evidence_is_not_served(cluster: Cluster) -> None:
    port = cluster.machine("control-plane-0").spec.host_port("join")
    verifier = PolicyVerifier(policies=[cluster.image.policy()])
    with pytest.raises(ChannelError, match="not accepted"):
        async with attested_channel("127.0.0.1", port, verifier=verifier, issuer=None, timeout=120):
            pass


def test_the_cluster_of_the_readme_is_this_one(cluster: Cluster, repository: Path) -> None:
    """Its first words about the nodes are those that they get here."""
    block = (repository / "README.md").read_text().partition("```shell-session\n")[2].partition("```")[0]
    (shown,) = [line for line in block.splitlines() if line.startswith("accepted: ")]
    assert cluster.run("verify").stdout.startswith(shown)
