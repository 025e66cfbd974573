# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Confidential clusters as Python objects, written as Terraform JSON."""
