# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Headers that a host could write, each tried against `open`: all are refused before anything is opened by them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constellation_core.keys.secret import Secret
from node_agent import programs
from node_agent.disk import StateDisk
from node_agent.disk.allowed import mismatches
from node_agent.disk.header import parse_header
from node_agent.disk.luks import HeaderInMemory
from node_agent.errors import PermanentError
from tests.node_agent.disk.headers import recorded, write_area

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Path_ = tuple[str | int, ...]

SLOT, SEGMENT, DIGEST = ("keyslots", "1"), ("segments", "0"), ("digests", "0")
PLAIN_SEGMENT = {"type": "linear", "offset": "2097152", "size": "dynamic"}
NULL = "cipher_null-ecb"

CHANGED: dict[str, list[tuple[tuple[str, ...], Any]]] = {
    "null cipher of a key slot: any key opens it": [((*SLOT, "area", "encryption"), NULL)],
    "null cipher of the data": [((*SEGMENT, "encryption"), NULL)],
    "both": [((*SLOT, "area", "encryption"), NULL), ((*SEGMENT, "encryption"), NULL)],
    "a weaker cipher": [((*SEGMENT, "encryption"), "aes-cbc-plain64")],
    "a short key": [((*SLOT, "key_size"), 32)],
    "a short key of a slot": [((*SLOT, "area", "key_size"), 16)],
    "no integrity: a segment without": [(SEGMENT, {**recorded()["segments"]["0"], "integrity": {"type": "none"}})],
    "weak integrity": [((*SEGMENT, "integrity", "type"), "crc32c")],
    "integrity of the journal by nobody's key": [((*SEGMENT, "integrity", "journal_integrity"), "hmac(sha256)")],
    "another sector size": [((*SEGMENT, "sector_size"), 512)],
    "a segment over the header": [((*SEGMENT, "offset"), "0")],
    "a segment over the key slots": [((*SEGMENT, "offset"), "32768")],
    "a segment of fixed size": [((*SEGMENT, "size"), "4096")],
    "a moved initialisation vector": [((*SEGMENT, "iv_tweak"), "8")],
    "a plain segment": [(SEGMENT, PLAIN_SEGMENT)],
    "a plain segment behind ours": [(("segments", "1"), PLAIN_SEGMENT)],
    "a plain segment before ours": [(("segments", "00"), PLAIN_SEGMENT)],
    "re-encryption under way": [(("config", "requirements"), {"mandatory": ["online-reencrypt-v2"]})],
    "a slot of re-encryption": [(("keyslots", "2"), {"type": "reencrypt", "mode": "decrypt", "direction": "forward"})],
    "a segment in re-encryption": [((*SEGMENT, "flags"), ["in-reencryption"])],
    "a backup segment": [(("segments", "1"), {**PLAIN_SEGMENT, "flags": ["backup-final"]})],
    "encryption by the drive": [(SEGMENT, {"type": "hw-opal", "offset": "2097152", "size": "dynamic"})],
    "encryption by the drive, too": [(SEGMENT, {**recorded()["segments"]["0"], "type": "hw-opal-crypt"})],
    "another key slot": [(("keyslots", "0"), recorded()["keyslots"]["1"])],
    "a slot that is no slot": [((*SLOT, "type"), "luks1")],
    "a slot over the header": [((*SLOT, "area", "offset"), "0")],
    "a slot somewhere else": [((*SLOT, "area", "type"), "none")],
    "priority of a slot": [((*SLOT, "priority"), 0)],
    "other stripes": [((*SLOT, "af", "stripes"), 1)],
    "costly stretching": [((*SLOT, "kdf"), {"type": "argon2id", "time": 1 << 30, "memory": 1 << 30, "cpus": 4})],
    "very costly stretching": [((*SLOT, "kdf", "iterations"), 1 << 31)],
    "a short salt": [((*SLOT, "kdf", "salt"), "YWJj")],
    "a salt that is no text": [((*SLOT, "kdf", "salt"), 7)],
    "a weaker hash": [((*SLOT, "kdf", "hash"), "md5")],
    "a digest of another kind": [((*DIGEST, "type"), "sha1")],
    "a digest for no slot": [((*DIGEST, "keyslots"), [])],
    "a digest for no segment": [((*DIGEST, "segments"), [])],
    "a second digest": [(("digests", "1"), recorded()["digests"]["0"])],
    "a token that asks a program": [(("tokens", "1"), {"type": "luks2-keyring", "keyslots": ["1"]})],
    "a token for a slot": [(("tokens", "0", "keyslots"), ["1"])],
    "a disk that nobody adopted": [(("tokens", "0", "initialized"), False)],
    "a number for a truth value": [(("tokens", "0", "initialized"), 1)],
    "a cluster that is no short id": [(("tokens", "0", "cluster"), "../../etc")],
    "a real number": [((*SEGMENT, "sector_size"), 4096.0)],
    "flags": [(("config", "flags"), ["allow-discards"])],
    "another size of the JSON area": [(("config", "json_size"), "4096")],
    "an unknown object": [(("volumes",), {})],
}


def changed(changes: list[tuple[tuple[str, ...], Any]]) -> dict[str, Any]:
    metadata = recorded()
    for (*path, name), value in changes:
        place = metadata
        for step in path:
            place = place[step]
        place[name] = value
    return metadata


@pytest.fixture
def open_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], Any]:
    """Open a disk that begins with these bytes; the first program that would run is an error."""
    monkeypatch.setattr(programs, "_ENVIRONMENT", {"PATH": str(tmp_path)})
    file = tmp_path / "disk.raw"

    def open_it(area: bytes) -> Any:  # noqa: ANN401 - a coroutine
        file.write_bytes(area)
        disk = StateDisk(file, name="no-such-mapping", mount_point=tmp_path / "state", binds=())
        return disk.open(Secret.random(32))

    return open_it


async def test_ours_is_accepted_and_only_then_a_program_runs(open_disk: Callable[[bytes], Any]) -> None:
    with pytest.raises(PermanentError, match="cannot run cryptsetup"):
        await open_disk(write_area(recorded()))


@pytest.mark.parametrize("attack", CHANGED)
async def test_refused(open_disk: Callable[[bytes], Any], attack: str) -> None:
    with pytest.raises(PermanentError, match="header of the state disk is refused"):
        await open_disk(write_area(changed(CHANGED[attack])))


@pytest.mark.parametrize("label, subsystem", [("other", ""), ("constellation-state", "x"), ("", "")])
async def test_other_names_are_refused(open_disk: Callable[[bytes], Any], label: str, subsystem: str) -> None:
    with pytest.raises(PermanentError, match=r"refused: (label|subsystem)"):
        await open_disk(write_area(recorded(), label=label, subsystem=subsystem))


async def test_a_damaged_header_is_refused(open_disk: Callable[[bytes], Any]) -> None:
    with pytest.raises(PermanentError, match="refused: LUKS2 header"):
        await open_disk(bytes(1 << 20))


def test_every_difference_is_named() -> None:
    metadata = changed(CHANGED["both"] + CHANGED["flags"])
    found = mismatches(parse_header(write_area(metadata, label="x")))
    assert [item.partition(":")[0] for item in found] == [
        "label",
        "config.flags",
        "keyslots.1.area.encryption",
        "segments.0.encryption",
    ]


def fields(value: Any, path: Path_ = ()) -> Iterator[Path_]:  # noqa: ANN401 - JSON
    """Every place in the JSON."""
    if isinstance(value, dict | list):
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield (*path, name)
            yield from fields(inner, (*path, name))


RANDOM = {"salt", "digest", "cluster"}


@pytest.mark.parametrize("path", list(fields(recorded())), ids=lambda path: ".".join(map(str, path)))
def test_no_field_may_be_missing(path: Path_) -> None:
    metadata = recorded()
    place: Any = metadata
    for step in path[:-1]:
        place = place[step]
    del place[path[-1]]
    assert mismatches(parse_header(write_area(metadata)))


@given(
    st.sampled_from([path for path in fields(recorded()) if path[-1] not in RANDOM]),
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.lists(st.text(max_size=3), max_size=3),
)
def test_no_field_may_have_another_value(path: Path_, value: object) -> None:
    metadata = recorded()
    place: Any = metadata
    for step in path[:-1]:
        place = place[step]
    if place[path[-1]] == value and type(place[path[-1]]) is type(value):
        return
    place[path[-1]] = value
    assert mismatches(parse_header(write_area(metadata)))


@pytest.mark.parametrize("length", [1, 31, 33, 64])
async def test_a_key_of_another_length_is_refused(length: int) -> None:
    """`cryptsetup` would take a part of a longer one."""
    with HeaderInMemory() as header, pytest.raises(PermanentError, match=f"key of 32 bytes .* got {length}"):
        await header.open(Path("/dev/null"), "no-such-mapping", Secret.random(length))
