# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""For any schema and any configuration: after an apply there is nothing to do, and Terraform finds no inconsistency."""

from __future__ import annotations

import json
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from terraform_provider_constellation.plugin.testing import reattached
from tests.terraform_provider_constellation.plugin.random_schemas import MadeProvider, models
from tests.terraform_provider_constellation.plugin.tools import REQUIRE_ZOO, Tool, empty_configuration

if TYPE_CHECKING:
    from terraform_provider_constellation.plugin.api import Model

AT_ONCE = 6  # resources in one configuration: most of the time goes into starting Terraform
World = list[tuple["type[Model]", Any, Any]]
MODELS = models().flatmap(lambda made: st.tuples(st.just(made[0]), made[1], made[1]))
WORLDS = st.lists(MODELS, min_size=AT_ONCE, max_size=AT_ONCE)
SLOWNESS = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]


def written(value: object) -> object:
    """As Terraform's JSON syntax wants it: nothing in it is a template."""
    if isinstance(value, dict):
        return {written(key): written(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [written(item) for item in value]
    if isinstance(value, Decimal):
        return float(value)
    return value.replace("${", "$${").replace("%{", "%%{") if isinstance(value, str) else value


def write(tool: Tool, configurations: list[Any]) -> None:
    resources = {f"zoo_r{index}": {"x": written(item)} for index, item in enumerate(configurations)}
    (tool.folder / "made.tf.json").write_text(json.dumps({"resource": resources}), encoding="utf-8")


def holds(tool: Tool, world: World) -> None:
    with tempfile.TemporaryDirectory() as folder:
        here = Tool(tool.program, tool.registry, Path(folder))
        empty_configuration(here.folder)
        (here.folder / "main.tf").write_text(REQUIRE_ZOO, encoding="utf-8")
        with reattached(MadeProvider([model for model, _, _ in world]), address=here.address) as environment:
            here.environment |= environment
            for configurations in ([one for _, one, _ in world], [other for _, _, other in world]):
                write(here, configurations)
                applied = here.apply()
                assert applied.status == 0, applied.text
                assert not here.differs()


@settings(max_examples=4, suppress_health_check=SLOWNESS, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(world=WORLDS)
def test_after_an_apply_there_is_nothing_to_do(bare_tool: Tool, world: World) -> None:
    holds(bare_tool, world)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@settings(max_examples=100, suppress_health_check=SLOWNESS)
@given(world=WORLDS)
def test_after_many_applies_there_is_nothing_to_do(bare_tool: Tool, world: World) -> None:
    holds(bare_tool, world)
