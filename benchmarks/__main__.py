# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Measure the library beside its peers and beside its targets, and print a table.

    python -m benchmarks [--rounds N] [--seconds S] [--markdown]

Nothing is written but the program of the peers (`benchmarks/peers/.build/`). `--markdown` prints what
`docs/performance.md` shows.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from benchmarks import footprint, machine, measure, peer
from benchmarks.subject import AT, VECTORS
from benchmarks.subjects import SUBJECTS
from benchmarks.table import Promise, Row, as_markdown, as_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.subject import Subject


def main() -> int:
    """Run the benchmarks of the command line."""
    options = _options()
    if not VECTORS.is_dir():
        _say(f"no recorded evidence at {VECTORS}: CONSTELLATION_VECTORS names another place")
        return 1
    go_version = _build_peers()
    measure.stay_on_one_core()
    rows = list(_rows(options, with_peers=go_version is not None))
    print(machine.describe(go_version), end="\n\n")
    print(as_markdown(rows) if options.markdown else as_text(rows))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure beside peers and targets.")
    parser.add_argument("--rounds", type=int, default=7, help="rounds of every measurement; the median counts")
    parser.add_argument("--seconds", type=float, default=0.5, help="processor time of each side in a round")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    return parser.parse_args()


def _build_peers() -> str | None:
    try:
        return peer.build()
    except peer.PeersMissingError as error:
        _say(f"{error}: our figures only")
        return None


def _rows(options: argparse.Namespace, *, with_peers: bool) -> Iterator[Row]:
    for subject in SUBJECTS:
        _say(f"measuring {subject.name}")
        yield _speed(subject, options, with_peers=with_peers)
    _say("measuring imports and memory")
    yield from footprint.import_rows(options.rounds)
    yield from footprint.memory_rows(subject for subject in SUBJECTS if subject.target is not None)


def _speed(subject: Subject, options: argparse.Namespace, *, with_peers: bool) -> Row:
    sides = [partial(measure.rate, subject.verification(), options.seconds)]
    if subject.peer is not None and with_peers:
        sides.append(partial(subject.peer.rate, subject.peer_files(), seconds=options.seconds, at=AT))
    ours, *theirs = measure.medians(sides, options.rounds)
    row = Row(what=subject.name, ours=_per_second(ours), promises=_speed_promise(subject, ours))
    if subject.peer is None or not theirs:
        return row
    ratio = ours / theirs[0]
    return replace(
        row,
        peer=f"{_per_second(theirs[0])} ({subject.peer.label})",
        ratio=f"{ratio:.2f} ×",
        promises=row.promises + _ratio_promise(subject, ratio),
    )


def _speed_promise(subject: Subject, speed: float) -> tuple[Promise, ...]:
    if subject.target is None:
        return ()
    return (Promise(f"≥ {_per_second(subject.target)}", kept=speed >= subject.target),)


def _ratio_promise(subject: Subject, ratio: float) -> tuple[Promise, ...]:
    if subject.ratio is None:
        return ()
    return (Promise(f"≥ {subject.ratio} × the peer", kept=ratio >= subject.ratio),)


def _per_second(speed: float) -> str:
    return f"{speed:,.0f}/s"


def _say(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
