# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation services`: what it prints, and what it says when something is not as it must be."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
import yaml

from attestation.variant import Variant
from constellation_cli.errors import ExitStatus
from constellation_engine.cluster.manifests import manifests, render

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

IMAGE = "constellation-services@sha256:" + 64 * "a"


def test_objects_are_printed_for_kubectl(constellation: Callable[..., Result]) -> None:
    result = constellation("services", "manifests", "--image", IMAGE, "--variant", "azure-tdx", "--wraps-keys")
    assert result.exit_code == 0
    assert result.stdout == render(manifests(image=IMAGE, variant=Variant.AZURE_TDX, wraps_keys=True))
    assert next(yaml.safe_load_all(result.stdout))["kind"] == "Namespace"


def test_another_port_of_the_api_server_goes_into_the_policies(constellation: Callable[..., Result]) -> None:
    words = ("services", "manifests", "--image", IMAGE, "--variant", "qemu-snp", "--api-server-port", "7443")
    assert "port: 7443" in constellation(*words).stdout


def test_an_image_by_its_tag_is_refused(constellation: Callable[..., Result]) -> None:
    result = constellation("services", "manifests", "--image", "services:latest", "--variant", "qemu-snp")
    assert (result.exit_code, result.stdout) == (ExitStatus.FAILED, "")
    assert "expected a name with a digest, got 'services:latest'" in result.stderr


def test_an_unknown_platform_is_a_wrong_command_line(constellation: Callable[..., Result]) -> None:
    result = constellation("services", "manifests", "--image", IMAGE, "--variant", "toaster")
    assert result.exit_code == ExitStatus.USAGE


@pytest.mark.parametrize("command", ["build", "lock"])
def test_what_is_no_checkout_is_refused(constellation: Callable[..., Result], tmp_path: Path, command: str) -> None:
    result = constellation("services", command, "--repository", tmp_path)
    assert result.exit_code == ExitStatus.FAILED
    assert f"{tmp_path}: expected a checkout of Constellation" in result.stderr


@pytest.mark.parametrize("command", ["build", "lock"])
@pytest.mark.parametrize("option", ["--mirror", "--security-mirror"])
def test_one_mirror_is_not_enough(constellation: Callable[..., Result], command: str, option: str) -> None:
    result = constellation("services", command, option, "http://127.0.0.1:1")
    assert result.exit_code == ExitStatus.USAGE
    assert "go together" in result.stderr


MIRRORS = ("--mirror", "http://127.0.0.1:1/debian", "--security-mirror", "http://127.0.0.1:1/debian-security")


def test_a_folder_with_other_things_is_not_replaced(constellation: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    result = constellation("services", "build", "-o", tmp_path, *MIRRORS)
    assert (result.exit_code, result.stdout) == (ExitStatus.FAILED, "")
    assert f"{tmp_path} is there and is no image" in result.stderr
    assert (tmp_path / "thesis.tex").exists()


def test_a_place_that_cannot_be_written_is_named(constellation: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = constellation("services", "build", "-o", tmp_path / "file" / "image", *MIRRORS)
    assert result.exit_code == ExitStatus.FAILED
    assert f"{tmp_path}/file" in result.stderr
    assert "bug" not in result.stderr


def test_a_mirror_that_does_not_answer_is_named(
    constellation: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONSTELLATION_COMPONENTS", str(tmp_path / "cache" / "components"))
    result = constellation("services", "build", "-o", tmp_path / "image", *MIRRORS)
    assert result.exit_code == ExitStatus.FAILED
    assert "http://127.0.0.1:1/debian/pool/" in result.stderr
    assert not (tmp_path / "image").exists()


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="no apt here: this is no Debian")
def test_a_list_that_cannot_be_made_leaves_the_old_one(
    constellation: Callable[..., Result], repository: Path, tmp_path: Path
) -> None:
    for name in ("images/services/debian.toml", "uv.lock"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(repository / name, tmp_path / name)
    result = constellation("services", "lock", "--repository", tmp_path, *MIRRORS)
    assert result.exit_code == ExitStatus.FAILED
    assert "apt-get update failed" in result.stderr
    lists = [folder / "images/services/debian.toml" for folder in (tmp_path, repository)]
    assert lists[0].read_bytes() == lists[1].read_bytes()
