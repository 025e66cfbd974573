# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The real Terraform and OpenTofu, in a clean home and without a network, find what was installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from terraform_provider_constellation.packaging.mirror import Mirror

if TYPE_CHECKING:
    from tests.terraform_provider_constellation.packaging.user import User


def test_nothing_installed_and_no_network_is_terraforms_error(user: User) -> None:
    assert user.init().returncode == 1


def test_init_finds_the_provider_and_reads_its_schema(user: User) -> None:
    Mirror.of_user(user.tool).install_link("1.2.3")
    done = user.init()
    assert "Installed constellation-kubernetes/constellation v1.2.3" in done.stdout, done.stderr
    assert "nothing to configure" in user.schema()["provider"]["block"]["description"]


def test_the_newest_release_is_taken(user: User) -> None:
    for version in ("1.9.0", "1.10.0", "2.0.0-rc.1"):
        Mirror.of_user(user.tool).install_link(version)
    assert "v1.10.0" in user.init().stdout
    assert (user.folder / ".terraform.lock.hcl").exists()


@pytest.mark.parametrize("wanted, found", [("1.2.3-dev.0", True), (">= 1.2.3-dev.0", False), ("", False)])
def test_what_is_no_release_is_taken_only_where_it_is_asked_for(user: User, wanted: str, found: bool) -> None:
    Mirror.of_user(user.tool).install_link("1.2.3-dev.0")
    assert (user.init(wanted).returncode == 0) is found


def test_the_same_version_made_anew_needs_a_new_lock_file(user: User) -> None:
    mirror = Mirror.of_user(user.tool)
    program = mirror.install_link("1.2.3").folder / "terraform-provider-constellation_v1.2.3"
    assert user.init().returncode == 0
    program.write_text(f"{program.read_text(encoding='utf-8')}# changed\n", encoding="utf-8")
    assert "checksums" in " ".join(user.init().stderr.split())
    (user.folder / ".terraform.lock.hcl").unlink()
    assert user.init().returncode == 0
