# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""An escrow: one file with the keys of a cluster, encrypted for people by name, each of whom can open it alone.

    keys.age        a tar archive of the files, encrypted (age-encryption.org/v1), armored
    keys.age.json   {"version": 1, "sha256": "…", "files": {"master-secret.json": "…"}, "recipients": {"ada": "age1…"}}

Who has the private half of a recipient's key opens it with the program age and without us:

    age --decrypt --identity ada.key keys.age | tar --extract

age was chosen because its keys are one line, keys of SSH will do, and no agent, key ring or certificate takes part.
What is encrypted does not say for whom, so the record does: names and public keys, and SHA-256 of the files, by which
changes are seen without a private key. A recipient who is left out of the next escrow still opens those before it.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from attestation.errors import MalformedError, MissingExtraError
from attestation.strict_json import load_object
from constellation_core.fields import Fields
from constellation_core.keys.secret import Secret
from constellation_core.keys.secret_file import FILE_MODE, read_secret_file
from constellation_engine.errors import EscrowError
from constellation_engine.whole_files import whole_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

VERSION: Final = 1
MAX_RECIPIENTS: Final = 64
MAX_FILES: Final = 64
MAX_RECORD: Final = 256 * 1024  # bytes
MAX_BRACKETS: Final = 512  # they are counted in names too

_KNOWN: Final = ("version", "sha256", "files", "recipients")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_NAME: Final = re.compile(r"[!-~]([ -~]{0,126}[!-~])?")
_SSH: Final = re.compile(r"ssh-(?:ed25519|rsa) [A-Za-z0-9+/=]+(?: .*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class EscrowRecord:
    """What is in an escrow, and for whom.

    Attributes:
        files: name → SHA-256 of the content, hexadecimal.
        recipients: name of a person → their public key.
        sha256: of the encrypted file, hexadecimal; empty where it is not written yet.
    """

    files: Mapping[str, str]
    recipients: Mapping[str, str]
    sha256: str = ""

    @classmethod
    def from_document(cls, document: bytes) -> EscrowRecord:
        """Read the document.

        Raises:
            MalformedError: it is not JSON, of another version, or a field is missing, wrong or unknown.
        """
        record = load_object(document, "escrow record", max_size=MAX_RECORD, max_brackets=MAX_BRACKETS)
        fields = Fields(record, "escrow record", _KNOWN)
        fields.version(VERSION)
        return cls(
            files={str(name): str(value) for name, value in fields.mapping("files").items()},
            recipients={str(name): str(value) for name, value in fields.mapping("recipients").items()},
            sha256=fields.text("sha256", _SHA256, "64 digits 0-9, a-f"),
        )

    def to_document(self) -> bytes:
        """Write the document; `from_document` reads the same record back."""
        record = {"version": VERSION, "sha256": self.sha256, "files": {**self.files}, "recipients": {**self.recipients}}
        return json.dumps(record, indent=2, sort_keys=True).encode() + b"\n"


class Escrow:
    """An escrow that is to have these files, for these people.

    Args:
        path: of the encrypted file; the record lies beside it.
        files: with secrets, mode 0600; they are in the archive under their names.
        recipients: name → public key of age (`age1…`) or SSH (`ssh-ed25519 …`, `ssh-rsa …`).

    Raises:
        EscrowError: there is no file or no recipient, a name is there twice, or something is no key.
        SecretFileError: a file is missing, or others can use it.
        MissingExtraError: pyrage is not installed.
    """

    def __init__(self, path: Path, files: Sequence[Path], recipients: Mapping[str, str]) -> None:
        self._path = path
        self._check(files, recipients)
        self._for = [_recipient(name, key) for name, key in recipients.items()]
        self._contents = {file.name: read_secret_file(file) for file in files}
        hashes = {name: hashlib.sha256(content.reveal()).hexdigest() for name, content in self._contents.items()}
        self.wanted = EscrowRecord(files=hashes, recipients=recipients)

    def _check(self, files: Sequence[Path], recipients: Mapping[str, str]) -> None:
        names = [file.name for file in files]
        if not names or len(set(names)) != len(names) or len(names) > MAX_FILES:
            raise EscrowError(f"{self._path}: expected 1 to {MAX_FILES} files of different names, got {names}")
        if not recipients or len(recipients) > MAX_RECIPIENTS:
            raise EscrowError(
                f"{self._path}: expected 1 to {MAX_RECIPIENTS} recipients, got {len(recipients)}",
                hint="age-keygen makes a key; its public half is one line that begins with age1",
            )

    @property
    def place_of_record(self) -> Path:
        """Where the record is."""
        return self._path.with_name(f"{self._path.name}.json")

    def there(self) -> EscrowRecord | None:
        """Read what an escrow has that is there; None where there is none, or none that is whole.

        Raises:
            EscrowError: there is something else in its place.
        """
        if not self._path.exists():
            return None
        try:
            content, document = self._path.read_bytes(), self.place_of_record.read_bytes()
            found = EscrowRecord.from_document(document)
        except (OSError, MalformedError) as error:
            raise EscrowError(
                f"{self._path}: expected an escrow and its record, or nothing: {error}", hint="name another file"
            ) from None
        return found if hashlib.sha256(content).hexdigest() == found.sha256 else None

    def differences(self) -> tuple[str, ...]:
        """Say why it is to be written; empty where it is as it should be.

        Raises:
            EscrowError: as `there`.
        """
        found = self.there()
        if found is None:
            return ("there is no whole escrow",)
        files = [f"file {name}" for name in _differing(found.files, self.wanted.files)]
        people = [f"recipient {name}" for name in _differing(found.recipients, self.wanted.recipients)]
        return (*files, *people)

    def write(self) -> None:
        """Write it, whole or not at all; one that is there is replaced.

        The record goes first: an archive without one is nothing of ours.

        Raises:
            EscrowError: it cannot be written.
        """
        encrypted: bytes = _age().encrypt(_archive(self._contents).reveal(), self._for, armored=True)
        record = EscrowRecord(
            files=self.wanted.files,
            recipients=self.wanted.recipients,
            sha256=hashlib.sha256(encrypted).hexdigest(),
        )
        try:
            for place, content in ((self.place_of_record, record.to_document()), (self._path, encrypted)):
                with whole_file(place, mode=FILE_MODE) as draft:
                    draft.write_bytes(content)
        except OSError as error:
            raise EscrowError(f"{self._path} cannot be written: {error.strerror}", hint="name another file") from None


def _differing(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    return sorted(name for name in {*before, *after} if before.get(name) != after.get(name))


def _recipient(name: str, key: str) -> Any:  # noqa: ANN401 - pyrage does not say its types
    age = _age()
    if not _NAME.fullmatch(name):
        raise EscrowError(f"recipient {name!r:.80}: expected a name of 1 to 128 printable characters")
    read = age.ssh.Recipient.from_str if _SSH.fullmatch(key.strip()) else age.x25519.Recipient.from_str
    try:
        return read(key.strip())
    except age.RecipientError:
        raise EscrowError(
            f"recipient {name}: expected a public key, age1… or ssh-ed25519 …, got something else",
            hint="age-keygen makes a key; its public half is one line that begins with age1",
        ) from None


def _archive(files: Mapping[str, Secret]) -> Secret:
    """Write a tar archive; the same files make the same bytes."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        for name in sorted(files):
            content = files[name].reveal()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), FILE_MODE
            archive.addfile(entry, io.BytesIO(content))
    return Secret(written.getvalue())


def _age() -> Any:  # noqa: ANN401 - as above
    try:
        return import_module("pyrage")
    except ImportError:
        raise MissingExtraError("pyrage", "escrow") from None
