# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""For tests: the real programs of a cluster's control plane, on loopback."""
