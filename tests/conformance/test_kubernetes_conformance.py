# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A cluster of ours passes conformance tests of Kubernetes, each by its own name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conformance.junit import Outcome, Result
from tests.conformance.runner import BUILD_TIMEOUT, TIMEOUT
from tests.conformance.selection import ALL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.conformance.runner import Runner

pytestmark = [pytest.mark.slow, pytest.mark.timeout(TIMEOUT + 2 * BUILD_TIMEOUT)]  # the first waits for all


@pytest.mark.parametrize("conformance_test", ALL)
def test_kubernetes(conformance_test: str, results: Mapping[str, Result], runner: Runner) -> None:
    result = results[conformance_test]
    assert result.outcome is Outcome.PASSED, (
        f"{result.outcome} after {result.seconds:.0f} s: {result.reason}\n{runner.log}"
    )


def test_nothing_else_ran(results: Mapping[str, Result]) -> None:
    assert results.keys() <= set(ALL)
