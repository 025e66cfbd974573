# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""How the provider gets to its users: a zip as a registry wants it, or a folder where Terraform looks.

https://developer.hashicorp.com/terraform/registry/providers/publishing
"""
