# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Policy files: JSON or YAML, read by the same rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attestation.errors import MalformedError, PolicyError
from attestation.policy import Policy
from constellation_cli.files import display_name, read_file
from constellation_cli.mapping import parse_mapping

if TYPE_CHECKING:
    from pathlib import Path

    from attestation.variant import Variant

SEE_SCHEMA: Final = "`constellation policy schema` prints what every field may hold"


def load_policy(path: Path, variant: Variant | None) -> Policy:
    """Read a policy.

    Args:
        path: the file, or "-" for stdin.
        variant: the variant that it must be for; None if the file says it.

    Raises:
        CommandError: it cannot be read.
        PolicyError: it is no policy, or none that can be used.
    """
    data = read_file(path)
    try:
        return Policy.from_mapping(parse_mapping(data), variant=variant)
    except MalformedError as error:
        raise PolicyError(f"{display_name(path)}: {error}", hint="a policy is JSON or YAML") from None
    except PolicyError as error:
        raise PolicyError(f"{display_name(path)}: {error}", hint=error.hint or SEE_SCHEMA) from None
