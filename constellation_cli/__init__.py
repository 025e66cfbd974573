# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The `constellation` command line: one file per command, no logic that a library should have."""

__version__ = "0.1.0"
