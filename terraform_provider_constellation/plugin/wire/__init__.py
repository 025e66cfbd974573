# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What goes over the wire: the messages of the protocol, and Terraform's types, values, unknowns and paths in them.

Specifications: tfplugin6.proto (protocol 6.11) and
https://github.com/hashicorp/terraform/blob/main/docs/plugin-protocol/object-wire-format.md.
"""
