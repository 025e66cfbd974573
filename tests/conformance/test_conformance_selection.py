# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Every chosen name is that of one conformance test, and chooses no other; images are called what tests ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from constellation_engine.components import our_manifest
from tests.conformance.images import AGNHOST, BUSYBOX, GLIBC_DNS, conformance_programs
from tests.conformance.junit import Outcome
from tests.conformance.runner import BUILD_TIMEOUT
from tests.conformance.selection import ALL, SUBJECTS, WITHOUT_NODES

if TYPE_CHECKING:
    from tests.conformance.runner import Runner

pytestmark = [pytest.mark.slow, pytest.mark.timeout(BUILD_TIMEOUT)]  # e2e.test may have to be built first


def test_the_tests_are_of_the_version_that_clusters_get() -> None:
    assert conformance_programs().manifest.version() == our_manifest().version()


def test_names_are_those_of_conformance_tests_each_once(runner: Runner) -> None:
    chosen = {*ALL, *WITHOUT_NODES}
    assert chosen <= runner.listed("--list-tests")
    assert [name for name in chosen if not name.endswith("[Conformance]")] == []
    assert len(set(ALL)) == len(ALL) >= 30
    assert all(SUBJECTS.values())


def test_names_choose_these_tests_and_no_others(runner: Runner) -> None:
    chosen = runner.choose(ALL)
    assert {name for name, result in chosen.items() if result.outcome is Outcome.PASSED} == set(ALL)
    assert chosen.keys() == set(ALL)


def test_a_name_that_is_none_does_not_pass(runner: Runner) -> None:
    name = ALL[0].replace("[Conformance]", "[Conforming]")
    assert runner.choose([name])[name].outcome is Outcome.NOT_RUN


def test_images_are_called_what_tests_ask_for(runner: Runner) -> None:
    assert {AGNHOST, BUSYBOX, GLIBC_DNS} <= runner.listed("--list-images")
