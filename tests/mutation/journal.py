# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What became of which mutant, kept so that an interrupted run goes on where it stopped.

One line of JSON for each trial. A line counts as long as nothing changed that it depends on: the library, its tests,
this tool, the locked dependencies.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Final

from tests.mutation.mutants import Identity
from tests.mutation.trial import Outcome

if TYPE_CHECKING:
    from pathlib import Path

FOLDER: Final = ".cache/mutation"
_DEPENDS_ON: Final = (
    "attestation/**/*.py",
    "tests/conftest.py",
    "tests/attestation/**/*.py",
    "tests/mutation/*.py",
    "uv.lock",
)


class Journal:
    """Outcomes of this state of the repository.

    Args:
        root: root of the repository.
    """

    def __init__(self, root: Path) -> None:
        self.folder = root / FOLDER
        self.folder.mkdir(parents=True, exist_ok=True)
        self._path = self.folder / "journal.jsonl"
        self._state = state(root)
        self._outcomes: dict[Identity, Outcome] = {}
        self._survived: set[Identity] = set()
        self._read()

    def outcome(self, identity: Identity) -> Outcome | None:
        """What became of a mutant, if that is known and still true."""
        return self._outcomes.get(identity)

    def survived_once(self, identity: Identity) -> bool:
        """Whether it survived when it was tried last, be it in another state."""
        return identity in self._survived

    def write(self, identity: Identity, outcome: Outcome) -> None:
        """Keep an outcome."""
        self._take(self._state, identity, outcome)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps([self._state, identity, outcome.value]) + "\n")

    def _read(self) -> None:
        if self._path.exists():
            for line in self._path.read_text(encoding="utf-8").splitlines():
                seen, identity, outcome = json.loads(line)
                self._take(seen, Identity(*identity), Outcome(outcome))

    def _take(self, seen: str, identity: Identity, outcome: Outcome) -> None:
        if seen == self._state:
            self._outcomes[identity] = outcome
        if outcome is Outcome.SURVIVED:
            self._survived.add(identity)
        else:
            self._survived.discard(identity)


def state(root: Path) -> str:
    """Digest of everything that an outcome depends on."""
    digest = hashlib.sha256()
    for pattern in _DEPENDS_ON:
        for path in sorted(root.glob(pattern)):
            digest.update(hashlib.sha256(path.relative_to(root).as_posix().encode()).digest())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]
