# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The parts of a kubeconfig: whatever the file holds, it is read or refused, and no key gets out by an error."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constellation_core.errors import ConfigError, SecretFileError
from constellation_engine.cluster.credentials import Credentials, read_credentials
from constellation_engine.local_cluster.workspace import write_private

if TYPE_CHECKING:
    from pathlib import Path

KEY = "a key that nobody may see"


def record() -> dict[str, Any]:
    def data(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    user = {"client-certificate-data": data("certificate"), "client-key-data": data(KEY)}
    cluster = {"server": "https://192.0.2.7:6443", "certificate-authority-data": data("authority")}
    return {
        "current-context": "x",
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
    }


def read(folder: Path, content: bytes) -> Credentials:
    write_private(folder / "kubeconfig", content)
    return read_credentials(folder / "kubeconfig")


def test_parts_are_read(tmp_path: Path) -> None:
    found = read(tmp_path, json.dumps(record()).encode())
    assert (found.host, found.authority, found.certificate) == ("https://192.0.2.7:6443", "authority", "certificate")
    assert found.key.reveal().decode() == KEY


def test_parts_that_are_files_beside_it_are_read(tmp_path: Path) -> None:
    changed = record()
    changed["users"][0]["user"] = {"client-certificate": "u.crt", "client-key": "u.key"}
    (tmp_path / "u.crt").write_text("certificate")
    (tmp_path / "u.key").write_text(KEY)
    assert read(tmp_path, json.dumps(changed).encode()).key.reveal().decode() == KEY


def test_a_file_beside_it_that_is_not_there_is_named(tmp_path: Path) -> None:
    changed = record()
    changed["users"][0]["user"]["client-key"] = "u.key"
    with pytest.raises(ConfigError, match=r"u\.key cannot be read: No such file"):
        read(tmp_path, json.dumps(changed).encode())


def test_nothing_of_it_is_shown(tmp_path: Path) -> None:
    assert KEY not in repr(read(tmp_path, json.dumps(record()).encode()))


@pytest.mark.parametrize("section", ["contexts", "clusters", "users", "current-context"])
def test_what_is_missing_is_named(tmp_path: Path, section: str) -> None:
    changed = record()
    del changed[section]
    with pytest.raises(ConfigError, match=f"it has no {section}"):
        read(tmp_path, json.dumps(changed).encode())


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    write_private(tmp_path / "kubeconfig", b"{}")
    (tmp_path / "kubeconfig").chmod(0o640)
    with pytest.raises(SecretFileError):
        read_credentials(tmp_path / "kubeconfig")


def said_of(folder: Path, content: bytes) -> str:
    try:
        return repr(read(folder, content))
    except (ConfigError, SecretFileError) as error:
        return str(error)


def mutated(data: st.DataObject) -> bytes:
    whole = json.dumps(record()).encode()
    at = data.draw(st.integers(0, len(whole)))
    return data.draw(
        st.sampled_from([whole[:at], whole[:at] + b"\x00" + whole[at + 1 :], whole[:at] + b"}" + whole[at:]])
    )


@given(st.data())
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder, content = tmp_path_factory.getbasetemp(), mutated(data)
    assert KEY not in said_of(folder, content)
