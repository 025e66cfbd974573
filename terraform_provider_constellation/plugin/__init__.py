# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A framework for Terraform providers in Python: protocol 6.11. It knows nothing of what is provided."""
