# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Pages about a provider, as Terraform's registry shows them, from what it declares.

https://developer.hashicorp.com/terraform/registry/providers/docs
"""

from terraform_provider_constellation.plugin.documentation.examples import Examples
from terraform_provider_constellation.plugin.documentation.pages import pages

__all__ = ["Examples", "pages"]
