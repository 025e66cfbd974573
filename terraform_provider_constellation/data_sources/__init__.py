# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Data sources: images, what is acceptable, and what the nodes of a cluster prove."""
