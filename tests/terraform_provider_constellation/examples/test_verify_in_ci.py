# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`examples/verify_in_ci`: the pipeline against a real API server and nodes with TPMs of software."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final

import pytest

from constellation_core.image_manifest import ImageManifest, sign
from constellation_core.names import VERIFICATION_NODE_PORT
from constellation_core.strict_yaml import load_yaml
from constellation_engine.cluster.cluster_verdict import Endpoint
from constellation_engine.cluster.join_config import put, show
from constellation_engine.cluster.verify import verify_cluster
from constellation_engine.node_image.catalogue import Catalogue, Place, PlaceKind
from constellation_engine.node_image.signing import public_pem
from constellation_engine.testing.known_nodes import NAMES, let_in
from constellation_engine.testing.node_images import BUILD, KEY, OTHER_KEY
from constellation_services.testing.verified_node import CLUSTER_ID, POLICY, serving_node
from tests.terraform_provider_constellation.plugin.tools import Result
from tests.terraform_provider_constellation.real_terraform import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from attestation.testing.swtpm import Swtpm
    from constellation_engine.testing.control_plane import ControlPlane
    from tests.terraform_provider_constellation.real_terraform import Terraform

EXAMPLE: Final = REPOSITORY / "examples" / "verify_in_ci"
HOSTS: Final = dict(zip(NAMES, ("127.77.0.1", "127.77.0.2"), strict=True))
PLACE: Final = Place(PlaceKind.FILE, "https://images.invalid/node.raw", "ab" * 32, 12345)
MANIFEST: Final = ImageManifest(
    image=BUILD.title, variant=BUILD.variant, measurements=POLICY.measurements, created=BUILD.created
)
"""Of the image that nodes booted."""

pytestmark = pytest.mark.skipif(shutil.which("jq") is None, reason="the program jq is not installed (Debian: jq)")


@pytest.fixture
async def cluster(tpms: tuple[Swtpm, ...], known: ControlPlane) -> AsyncIterator[ControlPlane]:
    """A cluster of two nodes, which can be verified where its API server says."""
    async with AsyncExitStack() as stack:
        for (name, host), tpm in zip(HOSTS.items(), tpms, strict=True):
            await stack.enter_async_context(serving_node(name, tpm, host=host, port=VERIFICATION_NODE_PORT))
        endpoints = [Endpoint(host, VERIFICATION_NODE_PORT, name) for name, host in HOSTS.items()]
        verdict = await verify_cluster(endpoints, [POLICY], cluster_id=CLUSTER_ID)
        for node in verdict.require().nodes:
            identity = node.verdict.identity if node.verdict is not None else None
            assert identity is not None
            let_in(known.client(), node.name, identity.hex(), node.endpoint.host)
        yield known


@pytest.fixture
def pipeline(terraform: Terraform, cluster: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> Terraform:
    """The example, with what its user brings."""
    folder = terraform.folder
    monkeypatch.chdir(folder)  # where Terraform starts providers
    shutil.copytree(EXAMPLE, folder, dirs_exist_ok=True)
    signed = sign(MANIFEST.to_document(), KEY)
    (folder / "images.json").write_bytes(Catalogue(()).with_place(BUILD, signed, PLACE).to_document())
    terraform.environment |= {
        "TF_VAR_kubeconfig_path": str(cluster.kubeconfig()),
        "TF_VAR_cluster_id": CLUSTER_ID.hex(),
        "TF_VAR_image_key": public_pem(KEY).decode(),
        "TF_CLI_ARGS_plan": "-no-color",
    }
    return terraform


async def verified(pipeline: Terraform) -> Result:
    """Run the script of the pipeline, beside the nodes of this process."""

    def run() -> Result:
        done = subprocess.run(
            [pipeline.folder / "verify.sh"], env=pipeline.full({}), capture_output=True, text=True, check=False
        )
        return Result(done.returncode, done.stdout, done.stderr)

    return await asyncio.to_thread(run)


async def test_it_passes_after_an_apply_and_fails_before(pipeline: Terraform) -> None:
    before = await verified(pipeline)
    assert (before.status, "DRIFT" in before.err) == (2, True)
    applied = await asyncio.to_thread(pipeline.apply)
    assert applied.status == 0, applied.text
    after = await verified(pipeline)
    assert after.status == 0, after.text
    assert "verified: every node proved what it must" in after.out


async def test_a_join_config_that_somebody_changed_is_drift(pipeline: Terraform, cluster: ControlPlane) -> None:
    await asyncio.to_thread(pipeline.apply)
    written = show(cluster.client()).text
    put(cluster.client(), written.replace("max: 3", "max: 5"))
    result = await verified(pipeline)
    assert (result.status, "DRIFT" in result.err) == (2, True)
    assert "constellation_join_config.cluster: update" in result.err
    assert "max: 5" in result.text


async def test_a_node_that_nobody_can_verify_fails(pipeline: Terraform, cluster: ControlPlane) -> None:
    await asyncio.to_thread(pipeline.apply)
    let_in(cluster.client(), "worker-1", "ee" * 32, "127.77.0.3")
    result = await verified(pipeline)
    assert result.status == 2
    assert "NOT VERIFIED" in result.err
    assert "check.every_node_is_attested is fail: NOT ACCEPTED: 2 of 3 nodes" in result.err
    assert "worker-1: " in result.err


async def test_an_image_that_somebody_else_signed_is_no_plan(pipeline: Terraform) -> None:
    pipeline.environment["TF_VAR_image_key"] = public_pem(OTHER_KEY).decode()
    result = await verified(pipeline)
    assert result.status == 1
    assert "The signature of the manifest does not hold" in result.text


def test_its_checks_are_tried_without_a_cluster(terraform: Terraform) -> None:
    shutil.copytree(EXAMPLE, terraform.folder, dirs_exist_ok=True)
    (terraform.folder / "images.json").write_text("{}")
    result = terraform.run("test")
    assert result.status == 0, result.text
    assert "2 passed, 0 failed" in result.text


def test_the_workflow_gives_what_the_configuration_wants() -> None:
    workflow: Any = load_yaml((EXAMPLE / "workflow.yaml").read_text(encoding="utf-8"))
    steps = workflow["jobs"]["verify"]["steps"]
    (step,) = [step for step in steps if "TF_VAR_cluster_id" in step.get("env", {})]
    assert (REPOSITORY / step["run"]).is_file()
    declared = re.findall(r'variable "(\w+)" \{([^}]*)\}', (EXAMPLE / "main.tf").read_text(encoding="utf-8"))
    required = {f"TF_VAR_{name}" for name, body in declared if "default" not in body}
    assert step["env"].keys() == required


def test_the_script_is_sound() -> None:
    assert subprocess.run(["sh", "-n", EXAMPLE / "verify.sh"], check=False).returncode == 0
