# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What Constellation puts into a cluster's API server: the objects of its three services."""
