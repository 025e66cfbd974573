# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Each recipient opens an escrow alone, with tools that are not ours; whoever is none does not."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from attestation.errors import MalformedError, MissingExtraError
from constellation_core.errors import SecretFileError
from constellation_core.keys.master_secret import MasterSecret
from constellation_engine import escrow as engine
from constellation_engine.errors import EscrowError
from constellation_engine.escrow import Escrow, EscrowRecord
from constellation_engine.node_image.signing import load_or_create_key

if TYPE_CHECKING:
    from pathlib import Path

age: Any = pytest.importorskip("pyrage", reason="pip install 'constellation-kubernetes[escrow]'")
ADA, BOB, EVE = (age.x25519.Identity.generate() for _ in range(3))
RECIPIENTS = {"ada": str(ADA.to_public()), "bob": str(BOB.to_public())}


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    MasterSecret.random().create(tmp_path / "master-secret.json")
    load_or_create_key(tmp_path / "image.key")
    return [tmp_path / "master-secret.json", tmp_path / "image.key"]


def opened(path: Path, identity: object) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(age.decrypt(path.read_bytes(), [identity]))) as archive:
        return {entry.name: content.read() for entry in archive if (content := archive.extractfile(entry))}


def test_each_recipient_opens_it_alone(tmp_path: Path, files: list[Path]) -> None:
    path = tmp_path / "keys.age"
    Escrow(path, files, RECIPIENTS).write()
    for identity in (ADA, BOB):
        assert opened(path, identity) == {file.name: file.read_bytes() for file in files}
    with pytest.raises(age.DecryptError):
        opened(path, EVE)


def test_a_key_of_ssh_opens_it(tmp_path: Path, files: list[Path]) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    line = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    Escrow(tmp_path / "keys.age", files, {"ada": f"{line} ada@example"}).write()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    assert len(opened(tmp_path / "keys.age", age.ssh.Identity.from_buffer(private))) == 2


@pytest.mark.skipif(shutil.which("age") is None, reason="the program age is not installed: apt-get install age")
def test_the_program_age_opens_it_without_us(tmp_path: Path, files: list[Path]) -> None:
    Escrow(tmp_path / "keys.age", files, RECIPIENTS).write()
    (tmp_path / "ada.key").write_text(str(ADA))
    command = "age --decrypt --identity ada.key keys.age | tar --extract --directory restored"
    (tmp_path / "restored").mkdir()
    subprocess.run(["sh", "-c", command], check=True, cwd=tmp_path)
    assert MasterSecret.load(tmp_path / "restored" / "master-secret.json") == MasterSecret.load(files[0])


def test_nothing_secret_is_in_what_is_written(tmp_path: Path, files: list[Path]) -> None:
    secret = MasterSecret.load(files[0])
    escrow = Escrow(tmp_path / "keys.age", files, RECIPIENTS)
    escrow.write()
    for place in (tmp_path / "keys.age", escrow.place_of_record):
        assert secret.secret.reveal().hex().encode() not in place.read_bytes()
        assert b"PRIVATE" not in place.read_bytes()
        assert place.stat().st_mode & 0o777 == 0o600
    assert secret.secret.reveal().hex() not in repr(vars(escrow))


def test_it_is_written_again_only_where_something_changed(tmp_path: Path, files: list[Path]) -> None:
    path = tmp_path / "keys.age"
    assert Escrow(path, files, RECIPIENTS).differences() == ("there is no whole escrow",)
    Escrow(path, files, RECIPIENTS).write()
    assert Escrow(path, files, RECIPIENTS).differences() == ()
    assert Escrow(path, files[:1], RECIPIENTS).differences() == ("file image.key",)
    assert Escrow(path, files, {**RECIPIENTS, "bob": str(EVE.to_public())}).differences() == ("recipient bob",)


def test_what_was_damaged_is_written_again(tmp_path: Path, files: list[Path]) -> None:
    path = tmp_path / "keys.age"
    Escrow(path, files, RECIPIENTS).write()
    path.write_bytes(path.read_bytes()[:-40])
    assert Escrow(path, files, RECIPIENTS).differences() == ("there is no whole escrow",)


def test_what_was_interrupted_is_written_again(tmp_path: Path, files: list[Path]) -> None:
    escrow = Escrow(tmp_path / "keys.age", files, RECIPIENTS)
    escrow.write()
    (tmp_path / "keys.age").unlink()
    assert escrow.differences() == ("there is no whole escrow",)


@pytest.mark.parametrize("record", ["[]", None])
def test_something_else_in_its_place_is_kept(tmp_path: Path, files: list[Path], record: str | None) -> None:
    (tmp_path / "keys.age").write_text("mine")
    if record is not None:
        (tmp_path / "keys.age.json").write_text(record)
    with pytest.raises(EscrowError, match="expected an escrow and its record"):
        Escrow(tmp_path / "keys.age", files, RECIPIENTS).differences()


@pytest.mark.parametrize(
    "recipients, said",
    [
        ({}, "expected 1 to 64 recipients, got 0"),
        ({"ada": "age1nonsense"}, "recipient ada: expected a public key"),
        ({"ada": "ssh-ed25519 AAAA"}, "recipient ada: expected a public key"),
        ({"ada": str(ADA)}, "recipient ada: expected a public key"),
        ({"": RECIPIENTS["ada"]}, "expected a name"),
    ],
    ids=["nobody", "no key", "no key of SSH", "private key", "no name"],
)
def test_a_wrong_recipient_is_named(tmp_path: Path, files: list[Path], recipients: dict[str, str], said: str) -> None:
    with pytest.raises(EscrowError, match=said) as caught:
        Escrow(tmp_path / "keys.age", files, recipients)
    assert str(ADA) not in str(caught.value)
    assert not (tmp_path / "keys.age").exists()


def test_files_that_others_may_read_or_that_share_a_name_are_refused(tmp_path: Path, files: list[Path]) -> None:
    with pytest.raises(EscrowError, match="different names"):
        Escrow(tmp_path / "keys.age", [files[0], files[0]], RECIPIENTS)
    files[0].chmod(0o644)
    with pytest.raises(SecretFileError, match="others may use it"):
        Escrow(tmp_path / "keys.age", files, RECIPIENTS)


def test_a_missing_library_is_told(tmp_path: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(engine, "import_module", missing)
    with pytest.raises(MissingExtraError, match="pyrage"):
        Escrow(tmp_path / "keys.age", files, RECIPIENTS)


@given(st.binary(max_size=200))
def test_any_bytes_may_be_a_record(document: bytes) -> None:
    with suppress(MalformedError):
        EscrowRecord.from_document(document)


@given(names=st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=8), max_size=4))
def test_a_record_is_read_as_it_was_written(names: dict[str, str]) -> None:
    record = EscrowRecord(files=names, recipients=names, sha256="ab" * 32)
    assert EscrowRecord.from_document(record.to_document()) == record
