# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Read long JSON records of our own making: lists of packages have more entries than what a stranger may send.

Like `attestation.strict_json`, one object whose keys are there once; unlike it, as long as the format's own limit says.
"""

from __future__ import annotations

import json
from typing import Any

from attestation.errors import MalformedError
from attestation.strict_json import unique_keys


def load_record(document: bytes, what: str, *, max_size: int) -> dict[str, Any]:
    """Read one JSON object.

    Args:
        document: its bytes.
        what: its name, for messages.
        max_size: most bytes that are read.

    Raises:
        MalformedError: it is something else.
    """
    if len(document) > max_size:
        raise MalformedError(f"{what} has {len(document)} bytes, at most {max_size} are read")
    try:
        record = json.loads(document.decode("utf-8"), object_pairs_hook=unique_keys)
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"{what} is not JSON: {error}", hint="is it the right file, and complete?") from None
    if not isinstance(record, dict):
        raise MalformedError(f"{what} is not a JSON object")
    return record
