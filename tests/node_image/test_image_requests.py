# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What cannot be built is refused before anything is made, and says what to do."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from attestation.variant import Variant
from constellation_engine.components.watch import Watch
from constellation_engine.debian.packages import Archive
from constellation_engine.errors import EngineError, MissingProgramError, NodeImageError
from constellation_engine.node_image import mkosi
from constellation_engine.node_image.build import ImageRequest, build, source_date
from constellation_engine.node_image.launch import LaunchInputs
from constellation_engine.node_image.targets import Platform, Profile, Target

if TYPE_CHECKING:
    from collections.abc import Callable

NOWHERE = {Archive.MAIN: "http://127.0.0.1:9", Archive.SECURITY: "http://127.0.0.1:9"}


@pytest.fixture
def attempt(repository: Path, tmp_path: Path) -> Callable[..., None]:
    """Try to build, and see that nothing is left of it."""

    def try_to_build(output: Path | None = None, **changes: Any) -> None:  # noqa: ANN401 - whatever the request has
        given = {"target": Target.QEMU_VTPM, "repository": repository, "mirrors": NOWHERE, **changes}
        request = ImageRequest(key=tmp_path / "image.key", cache=tmp_path / "cache", **given)
        place = output or tmp_path / "image"
        before = sorted(tmp_path.iterdir())
        try:
            build(place, request, report=lambda _: None, timeout=60)
        finally:
            assert sorted(tmp_path.iterdir()) == before

    return try_to_build


def test_a_folder_with_something_else_is_not_replaced(attempt: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter-1").write_text("years of work")
    with pytest.raises(NodeImageError, match="is there and is no image") as caught:
        attempt(tmp_path / "thesis")
    assert "--output" in caught.value.hint


def test_a_file_is_not_replaced(attempt: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(NodeImageError, match="is there and is no image") as caught:
        attempt(tmp_path / "thesis.tex")
    assert "--output" in caught.value.hint


def test_an_installed_package_is_no_checkout(attempt: Callable[..., None], tmp_path: Path) -> None:
    with pytest.raises(NodeImageError, match="expected a checkout"):
        attempt(repository=tmp_path)


def test_launch_digests_need_firmware(attempt: Callable[..., None]) -> None:
    with pytest.raises(NodeImageError, match="expected firmware and processors") as caught:
        attempt(target=Target.QEMU_SNP)
    assert "--firmware" in caught.value.hint


def test_firmware_without_a_launch_digest_is_a_mistake(attempt: Callable[..., None]) -> None:
    with pytest.raises(NodeImageError, match="and for no other"):
        attempt(launch=LaunchInputs(Path("OVMF.fd"), []))


def test_too_little_space_is_said_before_the_build(
    attempt: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("constellation_engine.node_image.build.NEEDED_SPACE", 1 << 60)
    with pytest.raises(NodeImageError, match="GiB of free space") as caught:
        attempt()
    assert "--cache" in caught.value.hint


def test_missing_mtools_are_named(attempt: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MissingProgramError, match="mcopy"):
        attempt()


def test_a_list_of_packages_needs_what_makes_an_archive_of_them(
    attempt: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "mcopy").touch(mode=0o755)
    (tmp_path / "packages.json").touch()
    monkeypatch.setenv("PATH", str(programs))
    with pytest.raises(MissingProgramError, match="reprepro"):
        attempt(from_manifest=tmp_path / "packages.json")


def test_a_list_of_packages_that_is_not_there_is_named(attempt: Callable[..., None], tmp_path: Path) -> None:
    with pytest.raises(NodeImageError, match=r"nowhere\.json: expected packages\.json of an image"):
        attempt(from_manifest=tmp_path / "nowhere.json")


@pytest.mark.parametrize("read", [Target.named, Profile.named], ids=["target", "profile"])
def test_unknown_names_are_answered_with_the_known_ones(read: Callable[[str], object]) -> None:
    with pytest.raises(NodeImageError, match="got relaese") as caught:
        read("relaese")
    assert "there are: " in caught.value.hint


def test_an_old_mkosi_is_not_used_and_no_mirror_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "mkosi"
    old.write_text("#!/bin/sh\necho mkosi 14\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(EngineError, match="apt-get update failed"):
        mkosi.find_mkosi(tmp_path / "cache", NOWHERE, Watch(60, lambda _: None))


def test_a_new_mkosi_of_the_machine_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new = tmp_path / "mkosi"
    new.write_text("#!/bin/sh\necho mkosi 26~devel\n")
    new.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert mkosi.find_mkosi(tmp_path / "cache", NOWHERE, Watch(60, lambda _: None)).command == (str(new),)


def test_a_failure_of_mkosi_says_how_it_ended_and_where_the_rest_is(tmp_path: Path) -> None:
    failing = mkosi.Mkosi(("sh", "-c", "echo '‣  Installing'; echo no such package; exit 1", "sh"), {})
    with pytest.raises(NodeImageError, match="no such package") as caught:
        mkosi.run(
            failing, [], folder=tmp_path, log=tmp_path / "log", watch=Watch(60, lambda _: None), title="node image"
        )
    assert str(tmp_path / "log") in caught.value.hint
    assert "Installing" in (tmp_path / "log").read_text()


def test_a_build_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    slow = mkosi.Mkosi(("sh", "-c", "sleep 600 & echo $! > child; wait", "sh"), {})
    with pytest.raises(EngineError, match="node image"):
        mkosi.run(slow, [], folder=tmp_path, log=tmp_path / "log", watch=Watch(1, lambda _: None), title="node image")
    wait_until_ended(tmp_path / "child")


def test_a_child_that_does_not_listen_ends_too(tmp_path: Path) -> None:
    (tmp_path / "child.sh").write_text("trap '' TERM; echo $$ > child; while :; do sleep 1; done")
    stubborn = mkosi.Mkosi(("sh", "-c", "sh child.sh & wait", "sh"), {})
    with pytest.raises(EngineError, match="node image"):
        mkosi.run(
            stubborn, [], folder=tmp_path, log=tmp_path / "log", watch=Watch(1, lambda _: None), title="node image"
        )
    wait_until_ended(tmp_path / "child")


def test_who_closes_its_output_is_waited_for(tmp_path: Path) -> None:
    quiet = mkosi.Mkosi(("sh", "-c", "exec >&- 2>&-; sleep 0.2; touch made", "sh"), {})
    mkosi.run(quiet, [], folder=tmp_path, log=tmp_path / "log", watch=Watch(60, lambda _: None), title="node image")
    assert (tmp_path / "made").exists()


def wait_until_ended(file: Path) -> None:
    """Wait for a process whose id a file has: it was killed, and needs a processor to end."""
    status = Path("/proc", file.read_text().strip(), "status")
    while status.exists() and "State:\tZ" not in status.read_text():
        time.sleep(0.01)


def test_the_time_of_the_sources_is_that_of_the_last_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    with pytest.raises(NodeImageError, match="expected a git checkout"):
        source_date(tmp_path)
    who = ("-c", "user.name=n", "-c", "user.email=e@example.org")
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    subprocess.run(
        ["git", *who, "-C", tmp_path, "commit", "-q", "--allow-empty", "-m", "first"],
        check=True,
        env={"PATH": "/usr/bin:/bin", "GIT_COMMITTER_DATE": "@1800000000 +0000"},
    )
    assert source_date(tmp_path).timestamp() == 1800000000
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1900000000")
    assert source_date(tmp_path).timestamp() == 1900000000


def test_every_variant_with_a_machine_has_a_target() -> None:
    assert {target.variant for target in Target} == set(Variant) - {Variant.INSECURE}


@pytest.mark.parametrize("name", [*Platform, *Profile])
def test_every_platform_and_profile_is_configured(name: str, repository: Path) -> None:
    assert (repository / "images/node/mkosi.profiles" / name / "mkosi.conf").is_file()
