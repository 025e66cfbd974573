# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What Terraform leaves to a provider between configuration and state: validation, defaults, plan, promises.

Everything here works on values as Terraform sees them, guided by a schema. Nothing here does IO.
"""
