# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Which library of constructs there is: CDK Terrain (`cdktn`), or CDKTF (`cdktf`), whose API it has kept.

Both run on Node.js: importing one starts it. `CONSTELLATION_CDK` names one where both are installed.
"""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from cdktf_constellation.errors import MissingLibraryError, MissingNodeError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

LIBRARIES: Final = ("cdktn", "cdktf")
"""The first that is there is taken: the second is not maintained any more."""
CHOICE: Final = "CONSTELLATION_CDK"

_SILENCE: Final = "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION"
_OLD_VERSIONS: Final = ",".join(map(str, range(14, 26)))  # of Node.js, whether or not their time is over
_PLAIN_PYTHON: Final = "cdktf_constellation.model is plain Python and needs no Node.js"


def load_library() -> ModuleType:
    """Import the library.

    Raises:
        MissingLibraryError: none is installed, or not the one that `CONSTELLATION_CDK` names.
        MissingNodeError: there is no Node.js to run it.
    """
    name = _chosen()
    node = os.environ.get("JSII_NODE", "node")
    if shutil.which(node) is None:
        raise MissingNodeError(
            f"expected Node.js to run {name}, found no program {node!r}",
            hint=f"install Node.js 22 or newer; or use the model instead: {_PLAIN_PYTHON}",
        )
    with _without_banner():
        return import_module(name)


def _chosen() -> str:
    wanted = os.environ.get(CHOICE)
    if wanted not in (None, *LIBRARIES):
        raise MissingLibraryError(f"{CHOICE}: expected one of {', '.join(LIBRARIES)}, got {wanted!r:.80}")
    names = LIBRARIES if wanted is None else (wanted,)
    for name in names:
        if find_spec(name) is not None:
            return name
    raise MissingLibraryError(
        f"expected {' or '.join(names)}, found none",
        hint=f"pip install 'constellation-kubernetes[cdktf]'; or use the model instead: {_PLAIN_PYTHON}",
    )


@contextmanager
def _without_banner() -> Iterator[None]:
    """Start Node.js without eleven lines about its age, unless the user says what to do about them.

    The variable is read by the process that starts here. Others that the user's program starts do not get it.
    """
    if _SILENCE in os.environ:
        yield
        return
    os.environ[_SILENCE] = _OLD_VERSIONS
    try:
        yield
    finally:
        del os.environ[_SILENCE]
