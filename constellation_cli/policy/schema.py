# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation policy schema`: what editors check a policy against."""

from __future__ import annotations

import json
import sys
from typing import Final

EXAMPLES: Final = ("constellation policy schema > policy.schema.json",)


def print_schema() -> None:
    """Print the JSON Schema of a policy."""
    from attestation.policy import json_schema

    sys.stdout.write(json.dumps(json_schema(), indent=2) + "\n")
    sys.stdout.flush()
