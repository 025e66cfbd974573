# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""How a module calls the library `constellation-kubernetes`: what it raises becomes one sentence and what to do next.

    def main() -> None:
        module = AnsibleModule(argument_spec={…}, supports_check_mode=True)
        with told(module):
            module.exit_json(**work(module))

A module imports the library inside its functions: it runs on whatever host a task names, and says what that lacks.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from ansible.module_utils.basic import missing_required_lib

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ansible.module_utils.basic import AnsibleModule

DISTRIBUTION = "constellation-kubernetes[engine]"


@contextmanager
def told(module: AnsibleModule) -> Iterator[None]:
    """End the module with a sentence, and its hint, where the library is missing or refuses.

    Any other exception is a mistake of ours, and ends in a traceback as Ansible shows it.
    """
    try:
        yield
    except ImportError as error:
        module.fail_json(msg=f"{missing_required_lib(DISTRIBUTION)} It says: {error}.")
    except Exception as error:
        if not _is_told(error):
            raise
        hint = getattr(error, "hint", "")
        module.fail_json(msg=f"{_sentence(str(error))} {_sentence(hint)}".rstrip(), hint=hint)


def _is_told(error: Exception) -> bool:
    """Whether the user can do something about it."""
    from attestation.errors import AttestationError
    from constellation_core.errors import CoreError
    from constellation_engine.errors import EngineError

    return isinstance(error, (AttestationError, CoreError, EngineError))


def _sentence(text: str) -> str:
    return text and text[0].upper() + text[1:].rstrip(".") + ("" if text.endswith("?") else ".")
