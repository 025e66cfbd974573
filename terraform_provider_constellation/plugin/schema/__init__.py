# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Schemas declared as Python classes: models, their attributes, what is valid, and how they look to Terraform."""
