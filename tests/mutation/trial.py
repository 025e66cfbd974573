# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""One trial: a process of its own imports the changed module in place of the real one and runs tests until one fails.

Nothing is written into the repository. The library is imported anew in each trial, so that tables and whatever runs
at import are tried like everything else, and no cache remembers what the real module said. Everything else is loaded
once, here, and the processes are forked from this one.
"""

from __future__ import annotations

import importlib.util
import os
import resource
import signal
import sys
from enum import Enum
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from typing import TYPE_CHECKING, Final

import hypothesis.extra.pytestplugin
import hypothesis.internal.conjecture.engine  # noqa: F401 - loaded once, here
import pytest
from cryptography import x509  # noqa: F401 - the same
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.mutation.wording import without_words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType

    from tests.mutation.mutants import Mutant

PYTEST: Final = (
    *("--exitfirst", "--quiet", "--tb=line"),
    *("-p", "no:randomly", "-p", "no:cacheprovider"),  # every mutant is judged by the same run, and leaves nothing
    *("-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning"),  # as above: loaded once
)
KEYS: Final = {4096: 12, 2048: 4}
"""Bits → how many RSA keys are made in advance; making them takes longer than all other things in a trial."""

_MEMORY: Final = 4 * 1024**3  # bytes
_WORDS: Final = 100  # exit status


class Outcome(Enum):
    """What became of a mutant."""

    KILLED = "killed"
    SURVIVED = "survived"
    WORDS = "words"


class BrokenTrialError(Exception):
    """A trial ended in a way that says nothing about its mutant."""


def make_keys() -> None:
    """Make RSA keys, with which the fakes of all trials begin."""
    generate = rsa.generate_private_key
    ready = {bits: [generate(65537, bits) for _ in range(count)] for bits, count in KEYS.items()}

    def next_key(public_exponent: int, key_size: int) -> rsa.RSAPrivateKey:
        return ready[key_size].pop() if ready.get(key_size) else generate(public_exponent, key_size)

    rsa.generate_private_key = next_key  # type: ignore[assignment]


def start(mutant: Mutant | None, real: str, tests: Sequence[str], *, seconds: int, output: Path) -> int:
    """Start a trial.

    Args:
        mutant: what to try; None to see that the tests accept the real module.
        real: what the real module does, without words.
        tests: files and folders.
        seconds: processor time after which a mutant that never ends counts as killed.
        output: file for what pytest prints.

    Returns:
        Number of the process.
    """
    if child := os.fork():
        return child
    status = 1
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        status = _try(mutant, real, tests)
    finally:
        os._exit(status)


def _try(mutant: Mutant | None, real: str, tests: Sequence[str]) -> int:
    if mutant is not None:
        if without_words(mutant.source) == real:
            return _WORDS
        sys.meta_path.insert(0, _Substitute(mutant))
    return int(pytest.main([*PYTEST, *tests]))


def outcome(status: int) -> Outcome:
    """Read the status with which a trial ended, as `os.wait` gives it.

    Raises:
        BrokenTrialError: it says nothing about the mutant.
    """
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU:
        return Outcome.KILLED
    match os.waitstatus_to_exitcode(status):
        case pytest.ExitCode.OK:
            return Outcome.SURVIVED
        # Tests failed, or a module of the tests or of the library could not even be imported.
        case pytest.ExitCode.TESTS_FAILED | pytest.ExitCode.INTERRUPTED | pytest.ExitCode.USAGE_ERROR:
            return Outcome.KILLED
        case code if code == _WORDS:
            return Outcome.WORDS
        case code:
            raise BrokenTrialError(f"a trial ended with status {code}")


class _Substitute:
    """Finds one module, the changed one; all others are left to who comes next."""

    def __init__(self, mutant: Mutant) -> None:
        self._name = mutant.module.removesuffix(".py").replace("/", ".")
        self._loader = _Loader(mutant)

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:  # noqa: ARG002
        """Answer for the changed module."""
        if name != self._name:
            return None
        return importlib.util.spec_from_file_location(name, self._loader.path, loader=self._loader)


class _Loader(SourceFileLoader):
    def __init__(self, mutant: Mutant) -> None:
        super().__init__(mutant.module.removesuffix(".py").replace("/", "."), str(Path(mutant.module).resolve()))
        self._source = mutant.source

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002
        """Compile the changed source, whatever lies in a cache."""
        return compile(self._source, self.path, "exec", dont_inherit=True)
