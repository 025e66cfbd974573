# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The process of a provider: Terraform starts it, reads one line, and connects.

Specification: go-plugin's protocol (https://github.com/hashicorp/go-plugin/blob/main/docs/internals.md), version 1,
with automatic mutual TLS; and gRPC over HTTP/2.

"""

from terraform_provider_constellation.plugin.serving.program import serve

__all__ = ["serve"]
