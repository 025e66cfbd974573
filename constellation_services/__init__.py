# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The services that run in a cluster: `join`, `keys` and `verify`."""
