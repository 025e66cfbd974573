# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Ephemeral resources: secrets, which Terraform stores nowhere."""
