# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Changing join-config in a real API server: nothing broken gets in, nobody's change is lost, there is a way back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ConfigMap

from constellation_core.cluster_history import Revision, record_history
from constellation_core.errors import ConfigError
from constellation_core.names import NAMESPACE
from constellation_core.strict_yaml import dump_yaml
from constellation_engine.cluster import join_config
from constellation_engine.errors import ClusterError, ConflictError, ObjectNotFoundError

if TYPE_CHECKING:
    from lightkube import Client


def config(max_control_planes: int) -> str:
    """A file that differs from others by one number."""
    register = {"expected": "04" * 32, "enforced": True}
    policy = {"variant": "qemu-vtpm", "measurements": {4: register}}
    return dump_yaml({"version": 1, "policies": [policy], "controlPlanes": {"max": max_control_planes}})


def write(client: Client, name: str, data: dict[str, str]) -> None:
    """Write past our own functions, as the join service or `kubectl edit` do."""
    wanted = ConfigMap(metadata=ObjectMeta(name=name, namespace=NAMESPACE), data=data)
    client.apply(wanted, field_manager="somebody", force=True)


def test_a_new_cluster_has_none(client: Client) -> None:
    with pytest.raises(ObjectNotFoundError, match="ConfigMap join-config"):
        join_config.show(client)
    assert join_config.history(client) == ()


def test_what_is_put_is_shown(client: Client) -> None:
    assert join_config.put(client, config(1)) == Revision(1, config(1))
    assert join_config.show(client).text == config(1)
    assert join_config.show(client).parse().control_planes.max == 1


def test_a_change_takes_the_place_of_what_was_there(client: Client) -> None:
    join_config.put(client, config(1))
    assert join_config.put(client, config(2)) == Revision(2, config(2))
    assert join_config.show(client).text == config(2)


def test_putting_it_twice_is_putting_it_once(client: Client) -> None:
    join_config.put(client, config(1))
    before = join_config.show(client)
    assert join_config.put(client, config(1)) == Revision(1, config(1))
    assert join_config.show(client) == before


def test_what_the_service_would_refuse_is_not_written(client: Client) -> None:
    join_config.put(client, config(1))
    before = join_config.show(client)
    with pytest.raises(ConfigError, match="max: expected a number"):
        join_config.put(client, config(99))
    assert join_config.show(client) == before
    assert join_config.history(client) == (Revision(1, config(1)),)


def test_a_change_of_what_somebody_else_changed_is_refused(client: Client) -> None:
    join_config.put(client, config(1))
    seen = join_config.show(client).version
    join_config.put(client, config(2))
    with pytest.raises(ConflictError) as caught:
        join_config.put(client, config(3), seen=seen)
    assert caught.value.hint == "show it again, then repeat the change"
    assert join_config.show(client).text == config(2)


def test_a_change_between_reading_and_writing_is_not_lost(client: Client) -> None:
    join_config.put(client, config(1))
    version = join_config.show(client).version
    join_config.put(client, config(2))
    for stale in (version, ""):
        with pytest.raises(ConflictError) as caught:
            join_config._write(client, "join-config", {"join-config.yaml": config(3)}, stale)
        assert caught.value.hint == "read it again, then repeat the change"
    assert join_config.show(client).text == config(2)


def test_several_may_write_history_at_once(client: Client) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: join_config._record(client, config(number)), range(1, 5)))
    assert {revision.text for revision in join_config.history(client)} == {config(number) for number in range(1, 5)}


def test_a_change_of_what_was_seen_is_written(client: Client) -> None:
    join_config.put(client, config(1))
    join_config.put(client, config(2), seen=join_config.show(client).version)
    assert join_config.show(client).text == config(2)


def test_the_history_holds_what_was_there_before_us(client: Client) -> None:
    write(client, "join-config", {"join-config.yaml": config(1)})
    join_config.put(client, config(2))
    assert join_config.history(client) == (Revision(1, config(1)), Revision(2, config(2)))


def test_the_history_holds_nothing_that_was_broken(client: Client) -> None:
    write(client, "join-config", {"join-config.yaml": "broken"})
    join_config.put(client, config(2))
    assert join_config.history(client) == (Revision(1, config(2)),)


def test_the_history_holds_five(client: Client) -> None:
    for number in range(1, 8):
        join_config.put(client, config(number))
    assert [revision.number for revision in join_config.history(client)] == [3, 4, 5, 6, 7]


def test_history_that_the_join_service_wrote_is_not_written_twice(client: Client) -> None:
    join_config.put(client, config(1))
    history = record_history({"1": config(1)}, config(2))
    assert history
    write(client, "join-config", {"join-config.yaml": config(2)})
    write(client, "join-config-history", history)
    assert join_config.put(client, config(2)) == Revision(2, config(2))


def test_a_rollback_goes_to_the_one_before(client: Client) -> None:
    for number in (1, 2):
        join_config.put(client, config(number))
    assert join_config.rollback(client) == Revision(3, config(1))
    assert join_config.show(client).text == config(1)


def test_a_rollback_of_a_rollback_undoes_it(client: Client) -> None:
    for number in (1, 2):
        join_config.put(client, config(number))
    join_config.rollback(client)
    assert join_config.rollback(client) == Revision(4, config(2))


def test_a_rollback_to_a_number(client: Client) -> None:
    for number in (1, 2, 3):
        join_config.put(client, config(number))
    assert join_config.rollback(client, 1) == Revision(4, config(1))


def test_a_rollback_leaves_what_is_broken(client: Client) -> None:
    join_config.put(client, config(1))
    write(client, "join-config", {"join-config.yaml": "broken"})
    assert join_config.rollback(client) == Revision(1, config(1))
    assert join_config.show(client).text == config(1)


@pytest.mark.parametrize("number", [None, 1, 7])
def test_there_may_be_nothing_to_go_back_to(client: Client, number: int | None) -> None:
    write(client, "join-config", {"join-config.yaml": config(1)})
    with pytest.raises(ObjectNotFoundError, match="there is no"):
        join_config.rollback(client, number)


def test_a_revision_that_is_refused_today_is_not_written(client: Client) -> None:
    join_config.put(client, config(1))
    write(client, "join-config-history", {"1": "broken", "2": config(1)})
    with pytest.raises(ConfigError):
        join_config.rollback(client, 1)
    assert join_config.show(client).text == config(1)


def test_somebody_else_may_not(client: Client, somebody: Client) -> None:
    join_config.put(client, config(1))
    with pytest.raises(ClusterError, match="forbidden") as caught:
        join_config.put(somebody, config(2))
    assert caught.value.hint == "use the administrator's kubeconfig"
