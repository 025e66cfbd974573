# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A watch tells its listener everything, also what comes from another watch."""

from __future__ import annotations

from constellation_engine.components.watch import Progress, Stage, Watch


def test_what_works_for_a_fetch_is_heard_by_its_listener() -> None:
    heard: list[Progress] = []
    inner = Watch(1, Watch(60, heard.append).pass_on)
    inner.tell("kubelet 1.36.4", Stage.DOWNLOADING, "3 of 9 MiB")
    assert heard == [Progress("kubelet 1.36.4", Stage.DOWNLOADING, "3 of 9 MiB")]
