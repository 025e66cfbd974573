# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Commands about `join-config`: which machines may join a cluster."""
