# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`terraform-provider-constellation`: the program that Terraform and OpenTofu start.

Terraform starts it three times for one plan and waits, so that the provider is loaded after the program has announced
itself, and the engine by whoever needs it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from terraform_provider_constellation.plugin.serving import serve

if TYPE_CHECKING:
    from terraform_provider_constellation.provider import Constellation

ADDRESS: Final = "registry.terraform.io/constellation-kubernetes/constellation"
"""What configurations call it, without the registry: `source = "constellation-kubernetes/constellation"`."""


def make() -> Constellation:
    """Make the provider."""
    from terraform_provider_constellation.provider import Constellation as Provider  # noqa: PLC0415 - see above

    return Provider()


def main() -> None:
    """Be a provider until Terraform has no use for it any more."""
    sys.exit(serve(make, address=ADDRESS))
