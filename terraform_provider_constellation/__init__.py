# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Terraform provider of Constellation: `plugin/` speaks Terraform's protocol, the rest is what we declare with it."""
