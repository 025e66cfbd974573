# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The image of the services is really built, twice, looked at by another program, and started."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from constellation_engine.cluster.manifests.pods import USER
from constellation_engine.components.watch import Progress, Stage
from constellation_engine.errors import EngineError, ImageBuildError
from constellation_engine.services_image import build, find_repository, machine_mirrors
from constellation_engine.services_image.packages import PYTHON

if TYPE_CHECKING:
    from constellation_engine.services_image import BuiltImage

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(shutil.which("apt-get") is None, reason="no apt here to ask for a mirror of Debian"),
]

SOURCES: Final = (
    "LICENSES", "attestation", "constellation_core", "constellation_services", "images/services", "proto",
    "pyproject.toml", "uv.lock",
)  # fmt: skip
PACKAGES: Final = f"usr/local/lib/python{PYTHON}/dist-packages"
UNCHECKED_HASH: Final = 0b01  # of the flags in a compiled module (PEP 552)

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="without root there is no chroot")


def copy_sources(target: Path) -> Path:
    """Copy what an image is made of; the times of the copies are new."""
    for name in SOURCES:
        source, copy = find_repository() / name, target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, copy, copy_function=shutil.copyfile)
        else:
            shutil.copyfile(source, copy)
    return target


def build_from(checkout: Path) -> BuiltImage:
    return build(checkout / "image", repository=checkout, mirrors=machine_mirrors(), report=lambda _: None)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources as they are now, whatever is written meanwhile."""
    return copy_sources(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="module")
def image(checkout: Path) -> BuiltImage:
    """The image."""
    return build_from(checkout)


def blob(image: BuiltImage, descriptor: dict[str, Any]) -> Path:
    return image.layout / "blobs" / Path(*descriptor["digest"].split(":"))


def manifest_of(image: BuiltImage) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(blob(image, {"digest": image.digest}).read_bytes())
    return found


@pytest.fixture(scope="module")
def root(image: BuiltImage, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file system of the image."""
    folder = tmp_path_factory.mktemp("root")
    folder.chmod(0o755)
    for layer in manifest_of(image)["layers"]:
        subprocess.run(["tar", "--extract", f"--file={blob(image, layer)}", f"--directory={folder}"], check=True)
    return folder


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]


def run(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the image as the image's user, in it."""
    command = ["/usr/sbin/chroot", f"--userspec={USER}:{USER}", str(root), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={}, timeout=60)


def test_another_folder_time_umask_and_zone_give_the_same_bytes(
    image: BuiltImage, checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "a folder with a longer name, and elsewhere"
    shutil.copytree(checkout, other, ignore=shutil.ignore_patterns("image"), copy_function=shutil.copyfile)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("LC_ALL", "C")
    before = os.umask(0o077)
    try:
        again = build_from(other)
    finally:
        os.umask(before)
    assert again.digest == image.digest
    assert again.reference == f"localhost/constellation-services@{image.digest}"


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="no skopeo here to ask for its opinion")
def test_another_program_reads_the_image(image: BuiltImage, tmp_path: Path) -> None:
    command = ["skopeo", "--insecure-policy", "copy", f"oci:{image.layout}", f"dir:{tmp_path / 'copy'}"]
    subprocess.run(command, check=True, capture_output=True)
    found = json.loads(subprocess.run(["skopeo", "inspect", command[3]], check=True, capture_output=True).stdout)
    assert found["Digest"] == image.digest
    assert (found["Os"], found["Architecture"]) == ("linux", "amd64")


def test_the_image_says_how_it_runs(image: BuiltImage) -> None:
    configuration = json.loads(blob(image, manifest_of(image)["config"]).read_bytes())["config"]
    assert configuration["Entrypoint"] == ["/usr/bin/constellation-services"]
    assert configuration["User"] == f"{USER}:{USER}"


@as_root
def test_the_program_starts(root: Path) -> None:
    result = run(root, "/usr/bin/constellation-services", "--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert "usage: constellation-services" in result.stdout


@as_root
@pytest.mark.parametrize("service", ["join", "keys", "verify"])
def test_each_service_starts(root: Path, service: str) -> None:
    result = run(root, "/usr/bin/constellation-services", service, "--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert f"usage: constellation-services {service}" in result.stdout


@as_root
def test_a_service_says_what_it_misses(root: Path) -> None:
    result = run(root, "/usr/bin/constellation-services", "keys")
    assert result.returncode == 1
    assert "key material" in json.loads(result.stderr.splitlines()[-1])["message"]


@as_root
def test_every_library_that_is_needed_is_there(root: Path) -> None:
    libraries = [path.relative_to(root) for path in files_below(root) if ".so" in path.name]
    assert len(libraries) > 50
    loaded = {path: run(root, "/lib64/ld-linux-x86-64.so.2", "--list", f"/{path}").stdout for path in libraries}
    assert {path: text for path, text in loaded.items() if "not found" in text} == {}


def test_there_is_nothing_to_run_but_the_services(root: Path) -> None:
    programs = [path.relative_to(root).as_posix() for path in files_below(root) if path.parent.name in {"bin", "sbin"}]
    assert set(programs) == {"usr/bin/constellation-services", f"usr/bin/python{PYTHON}"}


def test_nothing_is_privileged_or_open_to_all(root: Path) -> None:
    modes = {path: path.lstat().st_mode & 0o7777 for path in root.rglob("*") if not path.is_symlink()}
    assert [path for path, mode in modes.items() if mode & 0o6000] == []
    assert [path.relative_to(root).as_posix() for path, mode in modes.items() if mode & 0o022] == ["tmp"]


def test_there_are_no_fakes(root: Path) -> None:
    ours = [path.relative_to(root / PACKAGES) for path in files_below(root / PACKAGES / "attestation")]
    assert Path("attestation/judge.py") in ours
    assert [path for path in ours if "testing" in path.parts] == []


def test_every_module_is_compiled_and_never_compared_with_its_source(root: Path) -> None:
    for source in root.rglob("*.py"):
        compiled = source.parent / "__pycache__" / f"{source.stem}.cpython-{PYTHON.replace('.', '')}.pyc"
        assert int.from_bytes(compiled.read_bytes()[4:8], "little") == UNCHECKED_HASH, source


def test_modules_know_no_folder_of_the_builder(root: Path, checkout: Path) -> None:
    known = [path for path in root.rglob("*.pyc") if str(checkout.parent).encode() in path.read_bytes()]
    assert known == []


def test_scanners_learn_what_is_inside(root: Path) -> None:
    described = (root / "var/lib/dpkg/status.d/libssl3t64").read_text(encoding="utf-8")
    assert described.startswith("Package: libssl3t64\n")
    assert "VERSION_CODENAME=trixie" in (root / "etc/os-release").read_text(encoding="utf-8")


def test_a_service_that_cannot_be_imported_makes_no_image(checkout: Path, tmp_path: Path) -> None:
    broken = tmp_path / "checkout"
    shutil.copytree(checkout, broken, ignore=shutil.ignore_patterns("image"))
    with (broken / "constellation_services/join/service.py").open("a") as service:
        service.write("import a_module_that_nobody_wrote\n")
    with pytest.raises(ImageBuildError, match="a_module_that_nobody_wrote"):
        build_from(broken)
    assert not (broken / "image").exists()


def test_an_interrupted_build_leaves_the_image_that_was_there(image: BuiltImage, checkout: Path) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.stage is Stage.READY:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(image.layout, repository=checkout, mirrors=machine_mirrors(), report=interrupt)
    assert manifest_of(image)["schemaVersion"] == 2
    assert [path.name for path in image.layout.parent.iterdir() if path.name.startswith(".image")] == []


def test_a_build_gives_up_in_time(checkout: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"took more than|gave up after"):
        build(tmp_path / "image", repository=checkout, mirrors=machine_mirrors(), report=lambda _: None, timeout=3)
