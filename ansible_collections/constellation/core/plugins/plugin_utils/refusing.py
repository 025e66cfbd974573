# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How plugins on the controller call the library: what it raises becomes one sentence, and what to do next."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from ansible.module_utils.basic import missing_required_lib

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ansible.errors import AnsibleError

DISTRIBUTION = "constellation-kubernetes[engine]"


@contextmanager
def refusing(kind: type[AnsibleError], what: str) -> Iterator[None]:
    """Raise an error of Ansible's where the library is missing or refuses.

    Args:
        kind: of error.
        what: who speaks, as `filter measurements_merge`.
    """
    try:
        from attestation.errors import AttestationError
        from constellation_core.errors import CoreError
        from constellation_engine.errors import EngineError
    except ImportError as error:
        raise kind(f"{what}: {missing_required_lib(DISTRIBUTION)} It says: {error}.") from error
    try:
        yield
    except (AttestationError, CoreError, EngineError) as error:
        raise kind(f"{what}: {_sentence(str(error))} {_sentence(error.hint)}".rstrip()) from error


def _sentence(text: str) -> str:
    return text and text[0].upper() + text[1:].rstrip(".") + "."
