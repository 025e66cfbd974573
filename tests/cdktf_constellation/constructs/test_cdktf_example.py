# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`examples/mini_cdktf`: runs with both libraries, writes the same, and the real Terraform takes it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cdktf_constellation.inspection import Written
from constellation_engine.testing.node_images import FakeImage
from tests.terraform_provider_constellation.real_terraform import real_terraform

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[3]
EXAMPLE = REPOSITORY / "examples" / "mini_cdktf"
WRITTEN = Path("cdktf.out/stacks/mini/cdk.tf.json")


def python(
    folder: Path, *command: str | Path, timeout: float = 55, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder."""
    variables = {**os.environ, "PYTHONPATH": str(REPOSITORY), **environment}
    return subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )


def written_by(library: str, folder: Path) -> bytes:
    """Run the example with a library, always in the same folder: its path is part of what is written."""
    folder.mkdir(exist_ok=True)
    result = python(folder, EXAMPLE / "main.py", CONSTELLATION_CDK=library)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    return (folder / WRITTEN).read_bytes()


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    result = python(tmp_path, EXAMPLE / "plain.py")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    return tmp_path / "mini" / "main.tf.json"


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let commands find the provider in this process."""
    place = tmp_path / "terraform"
    place.mkdir()
    with real_terraform(place) as terraform:
        for name, value in terraform.full({}).items():
            monkeypatch.setenv(name, value)
        yield


def test_both_libraries_write_the_same(tmp_path: Path) -> None:
    assert written_by("cdktn", tmp_path / "app") == written_by("cdktf", tmp_path / "app")


@pytest.mark.usefixtures("environment")
def test_terraform_takes_what_constructs_write(tmp_path: Path) -> None:
    written = Written(json.loads(written_by("cdktn", tmp_path / "app")))
    assert len(written.document["resource"]) == 2
    assert written.diagnostics(tmp_path / "terraform") == []


@pytest.mark.usefixtures("environment")
def test_terraform_takes_what_the_model_writes(plain: Path, tmp_path: Path) -> None:
    written = Written(json.loads(plain.read_text(encoding="utf-8")))
    assert written.diagnostics(tmp_path / "terraform") == []


def test_both_examples_describe_the_same(plain: Path, tmp_path: Path) -> None:
    model = Written(json.loads(plain.read_text(encoding="utf-8")))
    constructs = Written(json.loads(written_by("cdktn", tmp_path / "app")))
    for kind in ("image", "attestation", "local_machines", "cluster", "verification"):
        assert model.only(f"constellation_{kind}") == constructs.only(f"constellation_{kind}")
    assert model.document["check"] == constructs.document["check"]


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node.js")
def test_old_node_is_not_announced(tmp_path: Path) -> None:
    script = (
        "import os; before = dict(os.environ); import cdktf_constellation.constructs; assert dict(os.environ) == before"
    )
    result = python(tmp_path, "-c", script)
    assert (result.returncode, result.stderr) == (0, "")


def test_without_node_there_is_one_error(tmp_path: Path) -> None:
    script = "import cdktf_constellation.constructs"
    result = python(tmp_path, "-c", script, PATH=str(tmp_path))
    assert "MissingNodeError: expected Node.js to run cdktn, found no program 'node'" in result.stderr
    assert "cdktf_constellation.model is plain Python and needs no Node.js" in result.stderr
    assert "_NodeProcess" not in result.stderr


def test_without_a_library_there_is_one_error(tmp_path: Path) -> None:
    script = (
        "import sys; sys.modules.update(dict.fromkeys(['cdktn', 'cdktf', 'jsii', 'constructs']));"
        "import cdktf_constellation.constructs"
    )
    error, hint = python(tmp_path, "-c", script).stderr.splitlines()[-2:]
    assert error.endswith("MissingLibraryError: expected cdktn or cdktf, found none")
    assert hint.startswith("hint: pip install")


def test_without_node_the_model_works(tmp_path: Path) -> None:
    script = "import sys; import cdktf_constellation.model; print('jsii' in sys.modules, 'cryptography' in sys.modules)"
    assert python(tmp_path, "-c", script, PATH=str(tmp_path)).stdout == "False False\n"


@pytest.mark.parametrize("name", ["aws-cdk", ""])
def test_an_unknown_library_is_refused(tmp_path: Path, name: str) -> None:
    result = python(tmp_path, "-c", "import cdktf_constellation.constructs", CONSTELLATION_CDK=name)
    assert "MissingLibraryError: CONSTELLATION_CDK: expected one of cdktn, cdktf, got" in result.stderr


@pytest.mark.usefixtures("environment")
def test_terraform_plans_what_the_model_writes(plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSTELLATION_IMAGES", str(tmp_path / "images"))
    FakeImage().write(tmp_path / "images" / "node")
    shutil.copy(plain, tmp_path / "terraform" / "main.tf.json")
    planned = subprocess.run(
        ["terraform", "plan", "-no-color"], cwd=tmp_path / "terraform", capture_output=True, text=True, check=False
    )
    assert "Plan: 2 to add, 0 to change, 0 to destroy." in planned.stdout, planned.stderr
