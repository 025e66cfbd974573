# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Volumes on the encrypted state disk of nodes: the cluster's default storage class."""
