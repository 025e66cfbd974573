# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Confidential clusters as Python objects, written as Terraform JSON.

`model` is plain Python: frozen dataclasses that refuse what the provider would refuse, with the same words.
`constructs` brings the same objects into programs that use CDK Terrain (`cdktn`) or CDKTF (`cdktf`). Both write the
same.
"""
